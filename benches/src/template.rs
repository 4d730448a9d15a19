//! Texts that are alike but for a number: encoding each of millions anew would take longer than answering it.

/// What stands for the number's twelve digits in a text. The load generator knows it by this name too, so that both may
/// be given the same words.
pub(crate) const NUMBER: &str = "__rand_int__";

/// A text whose digits are still to be written.
pub(crate) struct Template {
    text: Vec<u8>,
    /// Where the digits begin, wherever they stand.
    places: Vec<usize>,
}

impl Template {
    pub(crate) fn new(text: Vec<u8>) -> Self {
        let parts = text.windows(NUMBER.len()).enumerate();
        let places = parts.filter(|(_, part)| *part == NUMBER.as_bytes());
        Template { places: places.map(|(place, _)| place).collect(), text }
    }

    /// Appends the text with this number to others.
    pub(crate) fn append(&self, number: u64, texts: &mut Vec<u8>) {
        let start = texts.len();
        texts.extend_from_slice(&self.text);
        for place in &self.places {
            write(number, &mut texts[start + place..][..NUMBER.len()]);
        }
    }
}

fn write(number: u64, digits: &mut [u8]) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_wherever_it_is_meant() {
        let template = Template::new(b"<1__rand_int__-0 val:__rand_int__>".to_vec());
        let mut texts = b"before".to_vec();
        template.append(1_234_567, &mut texts);
        assert_eq!(texts.escape_ascii().to_string(), "before<1000001234567-0 val:000001234567>");
    }

    #[test]
    fn a_text_without_a_number_stays_as_it_is() {
        let mut texts = Vec::new();
        Template::new(b"ping".to_vec()).append(7, &mut texts);
        assert_eq!(texts, b"ping");
    }
}
