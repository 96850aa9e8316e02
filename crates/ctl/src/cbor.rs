// SPDX-License-Identifier: AGPL-3.0-or-later
//! Messages: JSON as people write it, CBOR (RFC 8949) as scripts read it.

use crate::{
    exit::Exit,
    problem::{Problem, Result},
};
use ciborium::Value;
use std::fmt::Write;

/// JSON as CBOR. Objects keep the order of their members.
pub(crate) fn from_json(text: &[u8]) -> Result<Vec<u8>> {
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        Problem::new(Exit::Data, "the message is no JSON")
            .cause(error)
            .hint("a text needs its own quotes, as '\"hello\"'; --raw sends the bytes as they are")
    })?;
    let mut bytes = Vec::new();
    ciborium::into_writer(&value, &mut bytes)
        .map_err(|error| Problem::new(Exit::Software, "cannot write CBOR").cause(error))?;
    Ok(bytes)
}

/// CBOR as JSON, by RFC 8949, section 6.1, but for byte strings, which become base16 text. `None` if the
/// bytes are not exactly one item.
pub(crate) fn to_json(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    let value: Value = ciborium::from_reader(&mut rest).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut text = String::new();
    write_value(&value, &mut text);
    Some(text)
}

fn write_value(value: &Value, to: &mut String) {
    match value {
        Value::Integer(number) => push(to, i128::from(*number)),
        // JSON has neither infinities nor NaN.
        Value::Float(number) if number.is_finite() => push(to, serde_json::json!(number)),
        Value::Bool(value) => push(to, value),
        Value::Text(text) => write_text(text, to),
        Value::Bytes(bytes) => write_text(&base16(bytes), to),
        Value::Tag(_, tagged) => write_value(tagged, to),
        Value::Array(values) => {
            to.push('[');
            for (index, value) in values.iter().enumerate() {
                to.push_str(if index > 0 { "," } else { "" });
                write_value(value, to);
            }
            to.push(']');
        }
        Value::Map(members) => {
            to.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                to.push_str(if index > 0 { "," } else { "" });
                match key {
                    Value::Text(text) => write_text(text, to),
                    // Keys of JSON are texts; another key becomes the text of its JSON.
                    Value::Bytes(bytes) => write_text(&base16(bytes), to),
                    key => {
                        let mut text = String::new();
                        write_value(key, &mut text);
                        write_text(&text, to);
                    }
                }
                to.push(':');
                write_value(value, to);
            }
            to.push('}');
        }
        _ => to.push_str("null"),
    }
}

fn push(to: &mut String, value: impl std::fmt::Display) {
    write!(to, "{value}").expect("writing to a string does not fail");
}

fn write_text(text: &str, to: &mut String) {
    push(to, serde_json::Value::from(text));
}

fn base16(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn json_as_cbor_and_back() {
        let check = |json: &str, hex: &str| {
            let cbor = from_json(json.as_bytes()).unwrap();
            assert_eq!(base16(&cbor), hex, "{json}");
            assert_eq!(to_json(&cbor).unwrap(), json);
        };
        check("null", "f6");
        check("true", "f5");
        check("17", "11");
        check("-17", "30");
        check("18446744073709551615", "1bffffffffffffffff");
        check("0.5", "f93800");
        check("\"hé\\n\"", "6468c3a90a");
        check("[1,[],\"a\"]", "8301806161");
        check("{\"z\":1,\"a\":{}}", "a2617a016161a0");
    }

    #[test]
    fn cbor_that_json_has_no_form_for() {
        let check =
            |hex: &str, json: Option<&str>| assert_eq!(to_json(&bytes(hex)).as_deref(), json, "{hex}");
        check("4301ff00", Some("\"01ff00\""));
        check("a201616102f6", Some("{\"1\":\"a\",\"2\":null}"));
        check("a14101f4", Some("{\"01\":false}"));
        check("c11a514b67b0", Some("1363896240"));
        check("f97e00", Some("null"));
        check("f97c00", Some("null"));
        check("3bffffffffffffffff", Some("-18446744073709551616"));
        // More than one item, half an item, none.
        check("0101", None);
        check("82 01".replace(' ', "").as_str(), None);
        check("", None);
        // Nested without end.
        check(&"81".repeat(100_000), None);
    }
}
