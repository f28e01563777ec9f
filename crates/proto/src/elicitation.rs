//! elicitation
