//! Choices of every kind, looked at alike.

use serde_json::Value;

use super::{EnumSchema, FieldError, MultiSelectEnumSchema, SingleSelectEnumSchema, TitledChoice};

/// One of the values to choose from, and what people see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The value.
    pub value: &'a str,
    /// What people see: the value itself, unless it has a title.
    pub title: &'a str,
}

/// How many values are to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// One.
    One,
    /// Several, as a list.
    Several {
        /// How many at least.
        least: Option<u64>,
        /// How many at most.
        most: Option<u64>,
    },
}

/// A choice, whatever its kind.
pub(super) struct View<'a> {
    pub(super) title: Option<&'a str>,
    pub(super) description: Option<&'a str>,
    pub(super) default: Option<Value>,
    pub(super) choices: Vec<Choice<'a>>,
    pub(super) amount: Amount,
}

/// Makes a view of a schema with the fields that all have.
macro_rules! view {
    ($field:ident, $choices:expr, $amount:expr) => {
        View {
            title: $field.title.as_deref(),
            description: $field.description.as_deref(),
            default: $field.default.clone().map(Value::from),
            choices: $choices,
            amount: $amount,
        }
    };
}

impl EnumSchema {
    /// What there is to choose from, in order.
    pub fn choices(&self) -> Vec<Choice<'_>> {
        self.view().choices
    }

    /// Whether several can be chosen.
    pub const fn is_multi(&self) -> bool {
        matches!(self, Self::Multi(_))
    }

    pub(super) fn view(&self) -> View<'_> {
        match self {
            Self::Single(SingleSelectEnumSchema::Untitled(field)) => {
                view!(field, untitled(&field.values), Amount::One)
            }
            Self::Single(SingleSelectEnumSchema::Titled(field)) => view!(field, titled(&field.choices), Amount::One),
            Self::Legacy(field) => {
                let names = field.enum_names.as_deref().unwrap_or_default();
                let values = field.values.iter().enumerate();
                let named = values.map(|(at, value)| Choice { value, title: names.get(at).unwrap_or(value) });
                view!(field, named.collect(), Amount::One)
            }
            Self::Multi(MultiSelectEnumSchema::Untitled(field)) => {
                let amount = Amount::Several { least: field.min_items, most: field.max_items };
                view!(field, untitled(&field.items.values), amount)
            }
            Self::Multi(MultiSelectEnumSchema::Titled(field)) => {
                let amount = Amount::Several { least: field.min_items, most: field.max_items };
                view!(field, titled(&field.items.choices), amount)
            }
        }
    }
}

fn untitled(values: &[String]) -> Vec<Choice<'_>> {
    values.iter().map(|value| Choice { value, title: value }).collect()
}

fn titled(choices: &[TitledChoice]) -> Vec<Choice<'_>> {
    choices.iter().map(|choice| Choice { value: &choice.value, title: &choice.title }).collect()
}

impl View<'_> {
    pub(super) fn check(&self, value: &Value) -> Result<(), FieldError> {
        match self.amount {
            Amount::One => self.check_one(value),
            Amount::Several { .. } => {
                let chosen = value.as_array().ok_or(FieldError::NotAList)?;
                chosen.iter().try_for_each(|one| self.check_one(one))?;
                self.check_amount(chosen.len())
            }
        }
    }

    fn check_one(&self, value: &Value) -> Result<(), FieldError> {
        let text = value.as_str().ok_or(FieldError::NotText)?;
        let known = self.choices.iter().any(|choice| choice.value == text);
        if known { Ok(()) } else { Err(FieldError::NoChoice(text.to_owned())) }
    }

    fn check_amount(&self, chosen: usize) -> Result<(), FieldError> {
        let chosen = u64::try_from(chosen).unwrap_or(u64::MAX);
        match self.amount {
            Amount::Several { least: Some(least), .. } if chosen < least => Err(FieldError::TooFew(least)),
            Amount::Several { most: Some(most), .. } if chosen > most => Err(FieldError::TooMany(most)),
            Amount::One | Amount::Several { .. } => Ok(()),
        }
    }
}
