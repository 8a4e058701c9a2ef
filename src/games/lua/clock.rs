//! `os.clock`, `os.time`, `os.date` and `math.random` as the match knows them: its own clock, which stands still
//! while it is paused, and its own seed. A script cannot tell a replay from the first time.

use std::fmt::Write as _;
use std::rc::Rc;

use mlua::{Lua, LuaString, Table, Value, Variadic};
use rand::RngExt;

use super::host::Host;

pub(super) fn install(lua: &Lua, helpers: &Table, host: &Rc<Host>) -> mlua::Result<()> {
    let h = host.clone();
    helpers.raw_set("clock", lua.create_function(move |_, ()| Ok(h.elapsed_us() as f64 / 1e6))?)?;
    let h = host.clone();
    helpers.raw_set(
        "time",
        lua.create_function(move |_, given: Option<Table>| match given {
            None => Ok(h.unix_s()),
            Some(fields) => from_fields(&fields),
        })?,
    )?;
    let h = host.clone();
    helpers.raw_set(
        "date",
        lua.create_function(move |lua, (format, at): (Option<LuaString>, Option<f64>)| {
            let at = Civil::of(at.map_or_else(|| h.unix_s(), |s| s as i64));
            let format = format.map_or_else(|| "%c".to_owned(), |f| f.to_string_lossy());
            let format = format.trim_start_matches('!');
            if format.starts_with("*t") { at.fields(lua).map(Value::Table) } else { at.text(lua, format) }
        })?,
    )?;
    let h = host.clone();
    helpers.raw_set("random", lua.create_function(move |_, args: Variadic<Value>| random(&h, &args))?)
}

/// `math.random()`, `(n)` and `(a, b)`. Fractions are cut, as scripts of the public protocol expect.
pub(super) fn random(host: &Host, args: &[Value]) -> mlua::Result<Value> {
    let whole = |i: usize| match args.get(i) {
        Some(Value::Integer(n)) => Ok(*n),
        Some(Value::Number(n)) if n.is_finite() => Ok(*n as i64),
        other => Err(mlua::Error::runtime(format!(
            "bad argument #{} to 'random' (number expected, got {})",
            i + 1,
            other.map_or("no value", Value::type_name)
        ))),
    };
    let (low, high) = match args.len() {
        0 => return Ok(Value::Number(host.random(|rng| rng.random()))),
        1 => (1, whole(0)?),
        _ => (whole(0)?, whole(1)?),
    };
    if low > high {
        return Err(mlua::Error::runtime("bad argument to 'random' (interval is empty)"));
    }
    Ok(Value::Integer(host.random(|rng| rng.random_range(low..=high))))
}

/// A moment in the calendar, UTC.
struct Civil {
    unix_s: i64,
    year: i64,
    month: i64,
    day: i64,
    year_day: i64,
    week_day: i64,
}

/// Days from 1970-01-01 to the given day of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that a leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Civil {
    fn of(unix_s: i64) -> Self {
        // Beyond this the calendar is nobody's concern, and the arithmetic stays in range.
        let unix_s = unix_s.clamp(-62_135_596_800, 253_402_300_799);
        let days = unix_s.div_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march + 2) / 5 + 1;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self {
            unix_s,
            year,
            month,
            day,
            year_day: days - days_from_civil(year, 1, 1) + 1,
            week_day: (days + 4).rem_euclid(7),
        }
    }

    fn clock(&self) -> (i64, i64, i64) {
        let s = self.unix_s.rem_euclid(86_400);
        (s / 3_600, s / 60 % 60, s % 60)
    }

    fn fields(&self, lua: &Lua) -> mlua::Result<Table> {
        let (hour, min, sec) = self.clock();
        let t = lua.create_table_from([
            ("year", self.year),
            ("month", self.month),
            ("day", self.day),
            ("hour", hour),
            ("min", min),
            ("sec", sec),
            ("wday", self.week_day + 1),
            ("yday", self.year_day),
        ])?;
        t.raw_set("isdst", false)?;
        Ok(t)
    }

    fn text(&self, lua: &Lua, format: &str) -> mlua::Result<Value> {
        if format.len() > 256 {
            return Err(mlua::Error::runtime("bad argument #1 to 'date' (format over 256 bytes)"));
        }
        let mut out = String::new();
        self.write(format, &mut out)?;
        lua.create_string(out).map(Value::String)
    }

    fn write(&self, format: &str, out: &mut String) -> mlua::Result<()> {
        const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let (hour, min, sec) = self.clock();
        let day_name = DAYS[usize::try_from(self.week_day).unwrap_or(0)];
        let month_name = MONTHS[usize::try_from(self.month - 1).unwrap_or(0)];
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            // Writing to a string does not fail.
            let _: std::fmt::Result = match chars.next() {
                Some('Y') => write!(out, "{}", self.year),
                Some('y') => write!(out, "{:02}", self.year.rem_euclid(100)),
                Some('m') => write!(out, "{:02}", self.month),
                Some('d') => write!(out, "{:02}", self.day),
                Some('H') => write!(out, "{hour:02}"),
                Some('I') => write!(out, "{:02}", (hour + 11) % 12 + 1),
                Some('M') => write!(out, "{min:02}"),
                Some('S') => write!(out, "{sec:02}"),
                Some('p') => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
                Some('j') => write!(out, "{:03}", self.year_day),
                Some('w') => write!(out, "{}", self.week_day),
                Some('A') => write!(out, "{day_name}"),
                Some('a') => write!(out, "{}", &day_name[..3]),
                Some('B') => write!(out, "{month_name}"),
                Some('b') => write!(out, "{}", &month_name[..3]),
                Some('c') => {
                    self.write("%a %b %d %H:%M:%S %Y", out)?;
                    Ok(())
                }
                Some('x' | 'D') => {
                    self.write("%m/%d/%y", out)?;
                    Ok(())
                }
                Some('F') => {
                    self.write("%Y-%m-%d", out)?;
                    Ok(())
                }
                Some('X' | 'T') => {
                    self.write("%H:%M:%S", out)?;
                    Ok(())
                }
                Some('Z') => write!(out, "UTC"),
                Some('%') => write!(out, "%"),
                other => {
                    return Err(mlua::Error::runtime(format!(
                        "bad argument #1 to 'date' (no conversion %{})",
                        other.map_or(String::new(), String::from)
                    )));
                }
            };
        }
        Ok(())
    }
}

/// `os.time{year=, month=, day=, hour=, min=, sec=}`, UTC.
fn from_fields(fields: &Table) -> mlua::Result<i64> {
    let field = |name: &str, default: Option<i64>| match fields.raw_get::<Option<f64>>(name)? {
        Some(n) if n.abs() < 1e9 => Ok(n as i64),
        Some(_) => Err(mlua::Error::runtime(format!("field '{name}' is out-of-bound"))),
        None => default.ok_or_else(|| mlua::Error::runtime(format!("field '{name}' missing in date table"))),
    };
    let (year, month) = (field("year", None)?, field("month", None)?);
    let year = year + (month - 1).div_euclid(12);
    let days = days_from_civil(year, (month - 1).rem_euclid(12) + 1, 1) + field("day", None)? - 1;
    Ok(days * 86_400 + field("hour", Some(12))? * 3_600 + field("min", Some(0))? * 60 + field("sec", Some(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        for (unix_s, text) in [
            (0, "1970-01-01 Thu 001 00:00:00"),
            (951_782_400, "2000-02-29 Tue 060 00:00:00"),
            (1_767_225_599, "2025-12-31 Wed 365 23:59:59"),
            (-1, "1969-12-31 Wed 365 23:59:59"),
        ] {
            let mut out = String::new();
            let at = Civil::of(unix_s);
            at.write("%Y-%m-%d %a %j %H:%M:%S", &mut out).unwrap();
            assert_eq!(out, text);
            assert_eq!(days_from_civil(at.year, at.month, at.day), unix_s.div_euclid(86_400));
        }
    }
}
