//! Developer commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{
    bench::{self, Bench},
    demo, ebpf, image, kernels, lint, manifests, test,
};

/// Developer commands of the announcer.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure what the project states, each figure against its limit
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
    /// Build the BPF object, bringing its tools where they are missing
    BuildEbpf {
        /// Have the programs log each verdict (slow)
        #[arg(long)]
        log: bool,
    },
    /// Show the announcer at work: three nodes, a switch and a client on this machine (root)
    Demo {
        /// Print the summary as JSON, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// Write the agent as an OCI image, `target/image/lb-agent.tar`, without a container daemon
    Image,
    /// Run the programs and the agent in Debian's kernels, each booted in a virtual machine
    Kernels {
        /// Which kernels: 5.10, 6.1, 6.12, newest; all of them unless named
        names: Vec<String>,
    },
    /// Format and lint everything, the programs for the kernel included
    Lint,
    /// Write anew what of `deploy` is made from the rest: the definitions, and the one file to install
    Manifests,
    /// Run all tests (root): pure ones, the programs in this kernel, the agent on the wire
    Test,
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Bench { bench } => bench::run(&bench),
        Command::BuildEbpf { log } => {
            let object = ebpf::build(log)?;
            println!("{}", object.display());
            Ok(())
        }
        Command::Demo { json } => demo::run(json),
        Command::Image => {
            println!("{} {}", image::run()?.display(), image::REFERENCE);
            Ok(())
        }
        Command::Kernels { names } => kernels::run(&names),
        Command::Lint => lint::run(),
        Command::Manifests => manifests::run(),
        Command::Test => test::run(),
    }
}
