//! The names of hosts in ASCII, so that letters that look like others show what they are.
//!
//! Spec: RFC 3492. Names are put in lower case first; the rest of IDNA's preparation is left to the browser.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE: u32 = 128;

/// A host whose labels are all ASCII. None if a label is too long to be one.
pub(super) fn host(host: &str) -> Option<String> {
    let labels = host.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).map(|label| match label.is_ascii() {
        true => Some(label.to_ascii_lowercase()),
        false => encode(&label.to_lowercase()).map(|text| format!("xn--{text}")),
    });
    labels.collect::<Option<Vec<_>>>().map(|labels| labels.join("."))
}

fn encode(label: &str) -> Option<String> {
    // A label has at most 63 octets, which also keeps the numbers below from overflowing.
    let input: Vec<u32> = label.chars().map(u32::from).collect();
    if input.len() > 63 {
        return None;
    }
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut code, mut delta, mut bias, mut handled) = (FIRST_CODE, 0_u32, FIRST_BIAS, basic);
    while (handled as usize) < input.len() {
        let next = *input.iter().filter(|point| **point >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(handled + 1)?)?;
        code = next;
        for point in &input {
            if *point < code {
                delta = delta.checked_add(1)?;
            } else if *point == code {
                push_number(&mut out, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta += 1;
        code += 1;
    }
    Some(out)
}

fn push_number(out: &mut String, mut number: u32, bias: u32) {
    for k in (BASE..).step_by(BASE as usize) {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if number < threshold {
            break;
        }
        out.push(digit(threshold + (number - threshold) % (BASE - threshold)));
        number = (number - threshold) / (BASE - threshold);
    }
    out.push(digit(number));
}

fn digit(number: u32) -> char {
    char::from_digit(if number < 26 { number + 10 } else { number - 26 }, BASE).unwrap_or('?')
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_in_ascii() {
        let table = [
            ("pods.example", "pods.example"),
            ("PODS.example", "pods.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("münchen。example", "xn--mnchen-3ya.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            // The first letter is Cyrillic.
            ("аpple.example", "xn--pple-43d.example"),
            ("faß.example", "xn--fa-hia.example"),
        ];
        for (given, expected) in table {
            assert_eq!(host(given).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(host(&"é".repeat(64)), None);
    }
}
