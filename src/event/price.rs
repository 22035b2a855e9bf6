//! Prices of tokens, from a file that the user writes: il has no prices of its own.
//!
//! A line is a model and four numbers, in dollars for a million tokens: input, input read from a
//! cache, input written to a cache, output. A model may end in `*`. `#` begins a remark. The first
//! line that fits counts.

use super::Usage;

/// The most lines that are read.
pub const PRICES_MAX: usize = 10_000;

/// What models charge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Model, and picodollars for a token: input, cache read, cache write, output.
    rows: Vec<(String, [u64; 4])>,
    /// Numbers of lines that are none, from 1.
    pub broken: Vec<usize>,
}

impl Prices {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Prices {
        let mut prices = Prices::default();
        for (at, line) in text.lines().take(PRICES_MAX).enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            match row(&words) {
                Some(row) => prices.rows.push(row),
                None if words.is_empty() => {}
                None => prices.broken.push(at + 1),
            }
        }
        prices
    }

    /// What one request costs, in millionths of a dollar, rounded; None where no line fits.
    pub fn of(&self, usage: &Usage) -> Option<u64> {
        let model = usage.model.as_deref()?;
        let fits = |name: &str| match name.strip_suffix('*') {
            Some(head) => model.starts_with(head),
            None => name == model,
        };
        let (_, prices) = self.rows.iter().find(|(name, _)| fits(name))?;
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let counts = [usage.input, usage.cache_read, written, usage.output];
        let pico: u128 =
            counts.iter().zip(prices).map(|(n, price)| u128::from(*n) * u128::from(*price)).sum();
        u64::try_from((pico + 500_000) / 1_000_000).ok()
    }
}

fn row(words: &[&str]) -> Option<(String, [u64; 4])> {
    let [model, prices @ ..] = words else { return None };
    let mut row = [0; 4];
    if prices.len() != row.len() {
        return None;
    }
    for (to, word) in row.iter_mut().zip(prices) {
        let dollars: f64 = word.trim_start_matches('$').parse().ok()?;
        // Dollars for a million tokens are millionths of a dollar for one.
        *to = (dollars.is_finite() && (0.0..1e6).contains(&dollars))
            .then_some((dollars * 1e6).round() as u64)?;
    }
    Some(((*model).to_owned(), row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, model: &str, expected: Option<u64>) {
        let usage = Usage {
            model: Some(model.to_owned()),
            input: 1000,
            cache_read: 10_000,
            cache_write_5m: 100,
            cache_write_1h: 100,
            output: 500,
            reasoning: 400,
            ..Usage::default()
        };
        assert_eq!(Prices::parse(line).of(&usage), expected, "{line}");
    }

    #[test]
    fn requests_are_priced_by_the_first_line_that_fits() {
        // 1000*5 + 10000*0.5 + 200*6.25 + 500*25 millionths.
        check("opus 5 0.5 6.25 25", "opus", Some(23_750));
        check("# remark\n\nop* $5 $0.5 $6.25 $25 # of today", "opus", Some(23_750));
        check("opus 0 0 0 0\nop* 5 5 5 5", "opus", Some(0));
        check("opus 5 0.5 6.25 25", "opus-2", None);
        check("", "opus", None);
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let prices = Prices::parse("a 1 2 3\nb 1 2 3 x\nc 1 2 3 -4\nd 1 2 3 1e9\ne 1 2 3 NaN\n#\n");
        assert_eq!(prices.broken, [1, 2, 3, 4, 5]);
        let lines = |n: usize| "x\n".repeat(n);
        assert_eq!(Prices::parse(&lines(PRICES_MAX)).broken.len(), PRICES_MAX);
        assert_eq!(Prices::parse(&lines(PRICES_MAX + 1)).broken.len(), PRICES_MAX);
    }
}
