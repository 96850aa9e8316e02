// SPDX-License-Identifier: AGPL-3.0-or-later
//! Standard output: aligned tables for people, lines of fields for programs, JSON for those who ask.

use crate::problem::{Problem, Result};
use serde::Serialize;
use std::{
    borrow::Cow,
    env,
    io::{self, BufWriter, IsTerminal, Write},
};

/// How to show things, and where.
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) terminal: bool,
    color: bool,
    to: BufWriter<io::Stdout>,
}

/// A column of a table.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Numbers stand to the right.
    pub(crate) right: bool,
}

pub(crate) const fn left(title: &'static str) -> Column {
    Column { title, right: false }
}

pub(crate) const fn right(title: &'static str) -> Column {
    Column { title, right: true }
}

/// Whether this stream may have colours.
pub(crate) fn color_on(stream: &impl IsTerminal) -> bool {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        let stdout = io::stdout();
        let (terminal, color) = (stdout.is_terminal(), color_on(&stdout));
        Output { json, terminal, color, to: BufWriter::with_capacity(64 << 10, stdout) }
    }

    /// Whether to write for people.
    pub(crate) fn pretty(&self) -> bool {
        self.terminal && !self.json
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.to.write_all(bytes).map_err(|error| Problem::output(&error))
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|error| Problem::output(&error))
    }

    /// A value as one line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|error| Problem::new(crate::exit::Exit::Software, "cannot write JSON").cause(error))?;
        self.line(&text)
    }

    /// A list: JSON of each value, or a table of what `row` makes of each.
    pub(crate) fn table<T: Serialize, const N: usize>(
        &mut self,
        columns: [Column; N],
        values: &[T],
        row: impl Fn(&T, bool) -> [String; N],
    ) -> Result<()> {
        if self.json {
            return values.iter().try_for_each(|value| self.json_line(value));
        }
        let pretty = self.pretty();
        let rows = values.iter().map(|value| {
            row(value, pretty)
                .map(|field| if field.is_empty() { "-".into() } else { escape(&field).into_owned() })
        });
        if !pretty {
            return rows.into_iter().try_for_each(|row| self.line(&row.join("\t")));
        }
        let rows: Vec<[String; N]> = rows.collect();
        let width = |index: usize| {
            let fields = rows.iter().map(|row| row[index].chars().count());
            fields.chain([columns[index].title.len()]).max().unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let (bold, off) = if self.color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let titles = columns.each_ref().map(|column| column.title.to_string());
        self.line(&format!("{bold}{}{off}", aligned(&columns, &widths, &titles)))?;
        rows.iter().try_for_each(|row| self.line(&aligned(&columns, &widths, row)))
    }

    /// One thing: its JSON, or a line for each field that it has.
    pub(crate) fn record(&mut self, value: &impl Serialize, fields: &[(&str, String)]) -> Result<()> {
        if self.json {
            return self.json_line(value);
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
        for (name, field) in fields.iter().filter(|(_, field)| !field.is_empty()) {
            let field = escape(field);
            match self.pretty() {
                true => self.line(&format!("{name:<width$}{field}"))?,
                false => self.line(&format!("{name}\t{field}"))?,
            }
        }
        Ok(())
    }

    /// What is printed when all went well and there is nothing to print: nothing, or JSON that says so.
    pub(crate) fn done(&mut self) -> Result<()> {
        if self.json { self.json_line(&serde_json::json!({ "ok": true })) } else { Ok(()) }
    }
}

fn aligned<const N: usize>(columns: &[Column; N], widths: &[usize; N], row: &[String; N]) -> String {
    let mut line = String::new();
    for ((column, &width), field) in columns.iter().zip(widths).zip(row) {
        match column.right {
            true => line.push_str(&format!("{field:>width$}  ")),
            false => line.push_str(&format!("{field:<width$}  ")),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A field that stays one field on one line, and moves no cursor: what others named and wrote may hold
/// anything.
pub(crate) fn escape(field: &str) -> Cow<'_, str> {
    if !field.chars().any(|c| c.is_control() || c == '\\') {
        return field.into();
    }
    let mut text = String::with_capacity(field.len() + 8);
    for c in field.chars() {
        match c {
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => text.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => text.push(c),
        }
    }
    text.into()
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.96 would be rounded to 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span of time for people.
pub(crate) fn span(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.0} µs", nanoseconds as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.2} s", nanoseconds as f64 / 1e9),
    }
}

/// A moment as RFC 3339, in UTC, from milliseconds since 1970.
pub(crate) fn moment(milliseconds: u64) -> String {
    let (days, rest) = (milliseconds / 86_400_000, milliseconds % 86_400_000);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The day of the Gregorian calendar that comes so many days after 1970-01-01. Years are counted from
/// March, so that the odd day is the last; 400 years have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let check = |ms: u64, expect: &str| assert_eq!(moment(ms), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_582_934_400_000, "2020-02-29T00:00:00.000Z");
        check(1_795_410_000_123, "2026-11-23T05:00:00.123Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        // The last moment that can be told at all has some year.
        let _ = moment(u64::MAX);
    }

    #[test]
    fn sizes_and_spans() {
        let check = |bytes: u64, expect: &str| assert_eq!(size(bytes), expect);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check((1 << 20) - 1, "1.0 MiB");
        check(u64::MAX, "16384.0 PiB");
        let check = |ns: u64, expect: &str| assert_eq!(span(ns), expect);
        check(999, "999 ns");
        check(12_345, "12 µs");
        check(12_345_678, "12.3 ms");
        check(61_000_000_000, "61.00 s");
    }

    #[test]
    fn fields_stay_fields() {
        let check = |field: &str, expect: &str| assert_eq!(escape(field), expect);
        check("plain ü", "plain ü");
        check("a\tb\nc\\", "a\\tb\\nc\\\\");
        check("\x1b[2J", "\\u{1b}[2J");
    }
}
