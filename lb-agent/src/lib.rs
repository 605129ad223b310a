//! The user side of the announcer. IO stands at the rim; the core takes values and a `now` and returns values.

pub mod agent;
pub mod announcements;
pub mod attach;
pub mod claims;
pub mod clock;
pub mod commands;
pub mod config;
pub mod diff;
pub mod holding;
pub mod hook;
pub mod model;
pub mod netlink;
pub mod object;
pub mod pace;
pub mod pins;
pub mod privileges;
pub mod readable;
pub mod run;
pub mod self_test;
pub mod status;
pub mod sys;
pub mod tables;
pub mod watch;
pub mod wire;
pub mod wishes;
