//! The list of everything that the library exports, independent of a language. It is checked in as
//! `bindings/surface.txt`.

use std::fmt::Debug;

use camino::Utf8Path;
use uniffi_bindgen::interface::{
    Argument, AsType, Callable, Enum, Field, Method, Object, Record, Type,
};
use uniffi_bindgen::{BindgenLoader, BindgenPaths, ComponentInterface, GlobalConfig};

use crate::BoxError;
use crate::generate::BindingsCrate;

/// Returns the names and signatures of all exported items, sorted, with one paragraph per item.
///
/// # Errors
///
/// If the library cannot be read or has no metadata.
pub fn surface(library: &Utf8Path) -> Result<String, BoxError> {
    let mut paths = BindgenPaths::default();
    paths.add_layer(BindingsCrate);
    let loader = BindgenLoader::new(paths, GlobalConfig::default());
    let interfaces = loader.load_cis(loader.load_metadata(library)?)?;
    let mut items: Vec<String> = interfaces.iter().flat_map(items).collect();
    items.sort();
    Ok(items.join("\n"))
}

fn items(interface: &ComponentInterface) -> Vec<String> {
    let functions = interface.function_definitions().iter();
    let functions =
        functions.map(|function| format!("fn {}\n", signature(function.name(), function)));
    let objects = interface.object_definitions().iter().map(object);
    let records = interface.record_definitions().iter().map(record);
    let enums = interface.enum_definitions().iter();
    let enums = enums.map(|item| {
        let is_error = interface.is_name_used_as_error(item.name());
        enumeration(item, if is_error { "error" } else { "enum" })
    });
    functions.chain(objects).chain(records).chain(enums).collect()
}

fn object(object: &Object) -> String {
    let kind = if object.has_callback_interface() { "foreign trait" } else { "object" };
    let constructors = object.constructors().into_iter();
    let constructors = constructors
        .map(|constructor| format!("constructor {}", signature(constructor.name(), constructor)));
    let methods = object.methods().into_iter().map(method);
    paragraph(kind, object.name(), constructors.chain(methods))
}

fn method(method: &Method) -> String {
    format!("fn {}", signature(method.name(), method))
}

fn record(record: &Record) -> String {
    paragraph("record", record.name(), record.fields().iter().map(field))
}

fn enumeration(item: &Enum, kind: &str) -> String {
    let variants = item.variants().iter().map(|variant| {
        let fields: Vec<String> = variant.fields().iter().map(field).collect();
        let fields =
            if fields.is_empty() { String::new() } else { format!("({})", fields.join(", ")) };
        format!("{}{fields}", variant.name())
    });
    paragraph(kind, item.name(), variants)
}

fn paragraph(kind: &str, name: &str, lines: impl Iterator<Item = String>) -> String {
    lines.fold(format!("{kind} {name}\n"), |text, line| text + "  " + &line + "\n")
}

fn signature(name: &str, callable: &impl Callable) -> String {
    let arguments: Vec<String> = callable.arguments().into_iter().map(argument).collect();
    let start = if callable.is_async() { "async " } else { "" };
    let returns = callable.return_type().map(|of| format!(" -> {}", type_name(of)));
    let throws = callable.throws_type().map(|of| format!(" throws {}", type_name(of)));
    let (returns, throws) = (returns.unwrap_or_default(), throws.unwrap_or_default());
    format!("{start}{name}({}){returns}{throws}", arguments.join(", "))
}

fn argument(argument: &Argument) -> String {
    let default = default(argument.default_value());
    format!("{}: {}{default}", argument.name(), type_name(&argument.as_type()))
}

fn field(field: &Field) -> String {
    let default = default(field.default_value());
    format!("{}: {}{default}", field.name(), type_name(&field.as_type()))
}

fn default(value: Option<&impl Debug>) -> String {
    let Some(value) = value else { return String::new() };
    let value = format!("{value:?}");
    let plain = value.strip_prefix("Literal(").and_then(|value| value.strip_suffix(')'));
    format!(" = {}", plain.unwrap_or(&value))
}

fn type_name(of: &Type) -> String {
    match of {
        Type::Object { name, .. }
        | Type::Record { name, .. }
        | Type::Enum { name, .. }
        | Type::CallbackInterface { name, .. }
        | Type::Custom { name, .. } => name.clone(),
        Type::Optional { inner_type } => format!("{}?", type_name(inner_type)),
        Type::Sequence { inner_type } => format!("[{}]", type_name(inner_type)),
        Type::Set { inner_type } => format!("set of {}", type_name(inner_type)),
        Type::Map { key_type, value_type } => {
            format!("[{}: {}]", type_name(key_type), type_name(value_type))
        }
        Type::Box { inner_type } => type_name(inner_type),
        simple @ (Type::UInt8
        | Type::Int8
        | Type::UInt16
        | Type::Int16
        | Type::UInt32
        | Type::Int32
        | Type::UInt64
        | Type::Int64
        | Type::Float32
        | Type::Float64
        | Type::Boolean
        | Type::String
        | Type::Bytes
        | Type::Timestamp
        | Type::Duration) => format!("{simple:?}"),
    }
}
