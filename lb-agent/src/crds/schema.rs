//! Schemas that deriving does not give as Kubernetes has them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use schemars::{Schema, SchemaGenerator, json_schema};

/// A whole number of no stated width.
pub fn integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer"})
}

/// A weight, as in a Pod's preferred scheduling terms.
pub fn weight(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 100})
}

/// Label selectors, any of which may match.
pub fn label_selectors(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": label_selector(generator)})
}

/// A label selector; k8s-openapi's own schema lacks the list and map types by which servers merge it.
pub fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Selects by labels: every entry and every requirement has to be met. The empty one selects everything.",
        "type": "object",
        "properties": {
            "matchExpressions": {
                "description": "Requirements on labels.",
                "type": "array",
                "items": {
                    "description": "A requirement on one label.",
                    "type": "object",
                    "properties": {
                        "key": {"description": "The label.", "type": "string"},
                        "operator": {
                            "description": "What it has to be: In, NotIn (of `values`), Exists or DoesNotExist.",
                            "type": "string",
                        },
                        "values": {
                            "description": "The values for In and NotIn; none for the others.",
                            "type": "array",
                            "items": {"type": "string"},
                            "x-kubernetes-list-type": "atomic",
                        },
                    },
                    "required": ["key", "operator"],
                },
                "x-kubernetes-list-type": "atomic",
            },
            "matchLabels": {
                "description": "Labels and the value that each has to have.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
        },
        "x-kubernetes-map-type": "atomic",
    })
}

/// Conditions, merged by type; k8s-openapi's own schema lacks the limits that Kubernetes has.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "description": "A judgement of one aspect.",
            "type": "object",
            "properties": {
                "type": {
                    "description": "The aspect, in CamelCase, or in CamelCase after a domain.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {
                    "description": "Whether it holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "Why, as one word for programs.",
                    "type": "string",
                    "maxLength": 1024,
                    "minLength": 1,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"description": "Why, for people.", "type": "string", "maxLength": 32768},
                "lastTransitionTime": {
                    "description": "Since when its status is this one.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "The generation of the object that was judged.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A derived definition as it is to be applied: with the name of its list, and every object's own fields.
pub fn finish(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let names = &mut definition.spec.names;
    names.list_kind = Some(format!("{}List", names.kind));
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            refuse_null(schema);
            add_object_fields(schema);
        }
    }
    definition
}

/// `null` is dropped before defaults apply, as if the field were absent, instead of being stored.
fn refuse_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        refuse_null(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        refuse_null(items);
    }
}

/// The fields that every object has; and a `spec` of which nothing is required may be missing altogether.
fn add_object_fields(schema: &mut JSONSchemaProps) {
    let field = |kind: &str, description: Option<&str>| JSONSchemaProps {
        type_: Some(kind.to_owned()),
        description: description.map(str::to_owned),
        ..JSONSchemaProps::default()
    };
    schema.type_ = Some("object".to_owned());
    let properties = schema.properties.get_or_insert_default();
    properties.insert(
        "apiVersion".to_owned(),
        field("string", Some("The group and version of this object's schema.")),
    );
    properties.insert("kind".to_owned(), field("string", Some("The kind of this object.")));
    properties.insert("metadata".to_owned(), field("object", None));
    let may_lack_spec = properties.get("spec").is_none_or(|spec| spec.required.is_none());
    if may_lack_spec {
        schema.required = None;
    }
}
