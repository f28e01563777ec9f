//! What a person types into a field, read as the field's value.

use serde_json::{Number, Value};

use super::{
    EnumSchema, FieldError, NumberKind, NumberSchema, PrimitiveSchemaDefinition,
    answer::number_value,
    view::{Amount, View},
};

impl PrimitiveSchemaDefinition {
    /// Reads what a person has typed. What an empty line means, such as the default, is for the caller to say.
    ///
    /// Text is taken as it is; all else without the white space around it. Yes and no are also `y` and `n`, `true` and
    /// `false`, `on` and `off`, `1` and `0`. A choice is made by value, by title, or by its number in the list from 1
    /// on, in this order; several are separated by commas.
    ///
    /// # Errors
    /// If it cannot be read as a value of the field, or does not fit it.
    pub fn parse(&self, text: &str) -> Result<Value, FieldError> {
        let value = match self {
            Self::String(field) => Value::from(if field.format.is_some() { text.trim() } else { text }),
            Self::Number(field) => field.read(text.trim())?,
            Self::Boolean(_) => Value::from(read_boolean(text.trim())?),
            Self::Enum(field) => field.read(text.trim())?,
        };
        self.check(&value).map(|()| value)
    }
}

fn read_boolean(text: &str) -> Result<bool, FieldError> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "true" | "on" | "1" => Ok(true),
        "n" | "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(FieldError::NotABoolean),
    }
}

impl NumberSchema {
    fn read(&self, text: &str) -> Result<Value, FieldError> {
        let unreadable = || match self.kind {
            NumberKind::Number => FieldError::NotANumber,
            NumberKind::Integer => FieldError::NotWhole,
        };
        // Whole numbers beyond 2^53 would lose digits as floats.
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Value::Number(Number::from(whole)));
        }
        let is_decimal = text.contains(|char: char| char.is_ascii_digit());
        let number = text.parse::<f64>().ok().filter(|number| is_decimal && number.is_finite());
        number.and_then(number_value).ok_or_else(unreadable)
    }
}

impl EnumSchema {
    fn read(&self, text: &str) -> Result<Value, FieldError> {
        let view = self.view();
        match view.amount {
            Amount::One => view.pick(text).map(Value::from),
            Amount::Several { .. } => view.pick_several(text).map(Value::from),
        }
    }
}

impl<'a> View<'a> {
    /// The value that is meant by what was typed.
    fn pick(&self, text: &str) -> Result<&'a str, FieldError> {
        let folded = text.to_lowercase();
        let numbered = || text.parse::<usize>().ok()?.checked_sub(1).and_then(|at| self.choices.get(at));
        let find = |is_meant: &dyn Fn(&str, &str) -> bool| {
            self.choices.iter().find(|choice| is_meant(choice.value, choice.title))
        };
        find(&|value, _| value == text)
            .or_else(|| find(&|_, title| title == text))
            .or_else(numbered)
            .or_else(|| find(&|value, title| value.to_lowercase() == folded || title.to_lowercase() == folded))
            .map(|choice| choice.value)
            .ok_or_else(|| FieldError::NoChoice(text.to_owned()))
    }

    /// The same for several, each once. A choice with a comma in it can be made alone, or by its number.
    fn pick_several(&self, text: &str) -> Result<Vec<&'a str>, FieldError> {
        if let Ok(alone) = self.pick(text) {
            return Ok(vec![alone]);
        }
        let mut chosen = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let value = self.pick(part)?;
            if !chosen.contains(&value) {
                chosen.push(value);
            }
        }
        Ok(chosen)
    }
}
