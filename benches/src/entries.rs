//! The entries of the streams that are measured, and how a server gets them.
//!
//! An entry has three fields with values of 16 bytes. Its id is given to it, but has as many digits as one that a clock
//! gives: whoever knows which entries there are can ask for any of them.

use std::ops::Range;

use crate::Result;
use crate::client::{Client, encoded};
use crate::filling::send_all;
use crate::template::Template;

/// The id of an entry, with its number in it.
pub(crate) const ID: &str = "1__rand_int__";

/// The same as a server writes it.
pub(crate) const WHOLE_ID: &str = "1__rand_int__-0";

/// The fields of an entry, each with its value.
pub(crate) const FIELDS: &[&str] =
    &["room", "val:__rand_int__", "sender", "val:__rand_int__", "text", "val:__rand_int__"];

/// The id of the entry with this number.
pub(crate) fn id(number: u64) -> String {
    format!("1{number:012}")
}

/// What XREADGROUP and XREAD answer when there is one entry: an array of one stream with an array of one entry.
pub(crate) fn reply_with(stream: &str, id: &str, fields: &[&str]) -> Vec<u8> {
    let string = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let before = format!("*1\r\n*2\r\n{}*1\r\n*2\r\n{}", string(stream), string(id));
    [before.into_bytes(), encoded(fields)].concat()
}

/// Adds the entries of these numbers to a stream.
pub(crate) fn fill(client: &mut Client, stream: &str, numbers: Range<u64>) -> Result<()> {
    let addition = Template::new(encoded(&[&["XADD", stream, ID], FIELDS].concat()));
    send_all(client, &addition, numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::NUMBER;

    #[test]
    fn an_id_is_what_a_template_makes_of_it() {
        let mut made = Vec::new();
        Template::new(ID.into()).append(42, &mut made);
        assert_eq!(made, id(42).as_bytes());
        assert_eq!(WHOLE_ID, format!("{ID}-0"));
    }

    #[test]
    fn values_have_16_bytes() {
        let values = FIELDS.iter().skip(1).step_by(2);
        assert_eq!(values.clone().count(), 3);
        assert!(values.clone().all(|value| value.ends_with(NUMBER) && value.len() == 16));
    }
}
