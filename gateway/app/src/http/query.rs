//! The query of a request: named keys, each of which is read once.

use ::http::Uri;
use percent_encoding::percent_decode_str;
use pointsman_core::{PredictError, shown};
use pointsman_stats::Alpha;

/// The keys of a query, from which they are taken until none is left over.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// Takes keys and values apart, and `%20` and the like out of them.
    ///
    /// # Errors
    /// Where something of it is no UTF-8.
    pub(crate) fn of(uri: &Uri) -> Result<Self, PredictError> {
        let text = |part: &str| percent_decode_str(part).decode_utf8().map(|text| text.into_owned());
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let odd = || {
                let what = format!("{} in the query is no UTF-8; write other bytes as UTF-8", shown(pair));
                PredictError::BadRequest(what)
            };
            text(key).and_then(|key| Ok((key, text(value)?))).map_err(|_| odd())
        });
        Ok(Self { pairs: pairs.collect::<Result<_, _>>()?, known: Vec::new() })
    }

    /// Takes a key, where it stands in the query. `remedy` says what it can be, as in "give true or false".
    ///
    /// # Errors
    /// Where it stands there twice, or `read` gives nothing of its value.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, PredictError> {
        let mut values = self.values(key);
        if let [first, second, ..] = &*values {
            let [first, second] = [first, second].map(|value| shown(value));
            let what = format!("{key}={first} and {key}={second} in the query; give {key} once");
            return Err(PredictError::BadRequest(what));
        }
        values.pop().map(|value| read(&value).ok_or_else(|| odd(key, &value, remedy))).transpose()
    }

    /// Takes a key that may be given up to `count_max` times.
    ///
    /// # Errors
    /// Where it is given more often, or `read` gives nothing of one of its values.
    pub(crate) fn take_all<T>(
        &mut self,
        key: &'static str,
        count_max: usize,
        remedy: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, PredictError> {
        let values = self.values(key);
        if values.len() > count_max {
            let what =
                format!("{key} is {} times in the query; give it {count_max} times at most", values.len());
            return Err(PredictError::BadRequest(what));
        }
        values.iter().map(|value| read(value).ok_or_else(|| odd(key, value, remedy))).collect()
    }

    /// Takes the key `alpha`, a probability.
    ///
    /// # Errors
    /// As [`Query::take`].
    pub(crate) fn alpha(&mut self, default: f64) -> Result<Alpha, PredictError> {
        let read = |value: &str| value.parse().ok().and_then(|alpha| Alpha::new(alpha).ok());
        let alpha = self.take("alpha", "give a number between 0 and 1, such as 0.05", read)?;
        let default = || Alpha::new(default).map_err(|e| PredictError::BadRequest(e.to_string()));
        alpha.map_or_else(default, Ok)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Where a key is left over, with those that there are.
    pub(crate) fn finish(self) -> Result<(), PredictError> {
        let Some((key, value)) = self.pairs.first() else { return Ok(()) };
        let [key, value] = [key, value].map(|text| shown(text));
        let keys = match &*self.known {
            [] => "there are no keys here".to_owned(),
            known => format!("{key} is no key here: {}", known.join(", ")),
        };
        Err(PredictError::BadRequest(format!("{key}={value} in the query; {keys}")))
    }

    /// Refuses a query where there can be none.
    ///
    /// # Errors
    /// Where anything stands in it.
    pub(crate) fn none(uri: &Uri) -> Result<(), PredictError> {
        Self::of(uri)?.finish()
    }

    fn values(&mut self, key: &'static str) -> Vec<String> {
        self.known.push(key);
        self.pairs.extract_if(.., |(found, _)| found == key).map(|(_, value)| value).collect()
    }
}

fn odd(key: &str, value: &str, remedy: &str) -> PredictError {
    PredictError::BadRequest(format!("{key}={} in the query; {remedy}", shown(value)))
}

#[cfg(test)]
mod tests {
    use pointsman_core::Code;

    use super::*;

    fn query(text: &str) -> Result<Query, PredictError> {
        Query::of(&format!("/x?{text}").parse().expect("a URI"))
    }

    /// What `a`, a number, and up to two `b` come to.
    fn read(text: &str) -> Result<(Option<u8>, Vec<String>), String> {
        let read = || {
            let mut query = query(text)?;
            let a = query.take("a", "give a number up to 255", |value| value.parse().ok())?;
            let b = query.take_all("b", 2, "give no x", |value| (value != "x").then(|| value.to_owned()))?;
            query.finish().map(|()| (a, b))
        };
        read().map_err(|error: PredictError| {
            assert_eq!(error.code(), Code::BadRequest);
            error.to_string()
        })
    }

    #[test]
    fn keys_are_taken_in_any_order_and_percent_signs_are_read() {
        assert_eq!(read(""), Ok((None, vec![])));
        assert_eq!(read("&&a=7&"), Ok((Some(7), vec![])));
        assert_eq!(read("b=u%20v&%61=7&b=%26%3D"), Ok((Some(7), vec!["u v".into(), "&=".into()])));
        let alpha = |text: &str| query(text).and_then(|mut query| query.alpha(0.05)).map(|alpha| alpha.get());
        assert_eq!([alpha("").ok(), alpha("alpha=0.01").ok()], [Some(0.05), Some(0.01)]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_key_the_value_and_the_remedy() {
        let long = "n".repeat(10_000);
        for (text, said) in [
            ("a=x", "a=x in the query; give a number up to 255"),
            ("a", "a= in the query; give a number up to 255"),
            ("b=x", "b=x in the query; give no x"),
            ("a=1&a=2", "a=1 and a=2 in the query; give a once"),
            ("b=1&b=2&b=3", "b is 3 times in the query; give it 2 times at most"),
            ("nope=1&a=1", "nope=1 in the query; nope is no key here: a, b"),
            ("A=1", "A=1 in the query; A is no key here: a, b"),
            ("=1", "=1 in the query;  is no key here: a, b"),
            ("a=%ff", "a=%ff in the query is no UTF-8"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        let none = |text: &str| Query::none(&format!("/x{text}").parse().expect("a URI"));
        assert!(none("").is_ok() && none("?").is_ok());
        assert!(
            none("?nope=1").is_err_and(|e| e.to_string().contains("nope=1 in the query; there are no keys"))
        );
        // However long something is, what is said of it is not.
        assert!(read(&format!("{long}=1")).expect_err("unknown").len() < 1000);
        for alpha in ["0", "1", "nan", "x", "-1"] {
            let error = query(&format!("alpha={alpha}")).expect("a query").alpha(0.05).expect_err(alpha);
            assert!(error.to_string().contains("give a number between 0 and 1"), "{error}");
        }
    }
}
