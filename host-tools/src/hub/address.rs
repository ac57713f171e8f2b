//! An address on the web, what joining another to it gives, and which addresses are of one host.

use std::fmt;

use iri_string::types::{UriAbsoluteStr, UriReferenceStr};

/// Whose an address is: scheme, host and port. Another scheme or port is another host.
pub(super) type Origin = (String, String, String);

/// An address of http or https, without a fragment.
#[derive(Clone, Debug)]
pub(super) struct Address {
    text: String,
    origin: Origin,
}

impl Address {
    /// The address that a text is, if it is one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri = UriAbsoluteStr::new(text).ok()?;
        let scheme = uri.scheme_str().to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => "80",
            "https" => "443",
            _ => return None,
        };
        let authority = uri.authority_components()?;
        let host = authority.host().to_ascii_lowercase();
        let port = authority.port().filter(|port| !port.is_empty());
        let port = port.unwrap_or(usual).trim_start_matches('0').to_owned();
        (!host.is_empty()).then(|| Self {
            text: text.to_owned(),
            origin: (scheme, host, port),
        })
    }

    /// Where a reference leads that is found here, by RFC 3986: another address, `//host/path`, `/path`, `../name`,
    /// `name`, `?question`. None where that is no address of http or https.
    pub(super) fn join(&self, reference: &str) -> Option<Self> {
        let reference = encoded(reference.trim());
        let reference = UriReferenceStr::new(&reference).ok()?;
        let here = UriAbsoluteStr::new(&self.text).ok()?;
        let joined = reference.resolve_against(here).to_string();
        let (joined, _) = joined.split_once('#').unwrap_or((&joined, ""));
        Self::parse(joined)
    }

    /// Whose it is.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// As it is written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A reference with what no address may hold written as `%XX`: servers send spaces, brackets and letters as they are.
fn encoded(reference: &str) -> String {
    let mut encoded = String::with_capacity(reference.len());
    let bytes = reference.as_bytes();
    let mut in_question = false;
    for (at, byte) in bytes.iter().copied().enumerate() {
        in_question |= byte == b'?';
        let legal = match byte {
            // Which begins two hexadecimal digits, or stands for itself.
            b'%' => bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
            // Before the question they are around a numerical host.
            b'[' | b']' => !in_question,
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=".contains(&byte),
        };
        match legal {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_every_form_are_joined() {
        let here = Address::parse("http://hub:8080/o/n/resolve/c/f.json?a=b").unwrap();
        for (reference, expected) in [
            ("/x/y", "http://hub:8080/x/y"),
            ("x", "http://hub:8080/o/n/resolve/c/x"),
            ("./x?q", "http://hub:8080/o/n/resolve/c/x?q"),
            ("../../x", "http://hub:8080/o/n/x"),
            ("../../../../../../x", "http://hub:8080/x"),
            ("?q=1", "http://hub:8080/o/n/resolve/c/f.json?q=1"),
            ("//other/x", "http://other/x"),
            ("https://other/x#part", "https://other/x"),
            (
                " /a b/\u{e9}|^?[x]=100%&y=%2F ",
                "http://hub:8080/a%20b/%C3%A9%7C%5E?%5Bx%5D=100%25&y=%2F",
            ),
            ("http://[::1]:81/x", "http://[::1]:81/x"),
            ("", "http://hub:8080/o/n/resolve/c/f.json?a=b"),
        ] {
            let joined = here.join(reference).map(|address| address.to_string());
            assert_eq!(joined.as_deref(), Some(expected), "{reference}");
        }
        for reference in [
            "ftp://other/x",
            "file:///etc/passwd",
            "http://",
            "mailto:a@b",
            "http:x y",
            "//",
        ] {
            assert!(here.join(reference).is_none(), "{reference}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| Address::parse(text).unwrap().origin;
        let same = origin("https://hub.example/x");
        for text in [
            "https://HUB.example:443/y?z",
            "HTTPS://hub.example",
            "https://user@hub.example:/",
        ] {
            assert_eq!(origin(text), same, "{text}");
        }
        for text in [
            "http://hub.example",
            "https://hub.example:8443",
            "https://hub.example.org",
            "https://x.hub.example",
        ] {
            assert_ne!(origin(text), same, "{text}");
        }
        for text in [
            "",
            "hub.example",
            "ftp://hub.example",
            "http:// hub",
            " http://hub",
            "http://hub\n",
            "http://",
        ] {
            assert!(Address::parse(text).is_none(), "{text:?}");
        }
    }
}
