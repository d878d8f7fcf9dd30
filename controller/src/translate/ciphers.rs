//! OpenSSL's cipher strings (ciphers(1)) over the suites of TLS 1.2 that the TLS
//! library has: names, classes joined with `+`, and the signs before them.

use tidegate_snapshot::Cipher;

/// What a cipher string chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// In order, the best first; maybe none.
    pub(super) ciphers: Vec<Cipher>,
    /// Suites that were asked for by name and are not there.
    pub(super) missing: Vec<String>,
}

/// The order in which OpenSSL adds what a class stands for.
const BY_STRENGTH: [Cipher; 6] = [
    Cipher::EcdheEcdsaAes256,
    Cipher::EcdheRsaAes256,
    Cipher::EcdheEcdsaChaCha20,
    Cipher::EcdheRsaChaCha20,
    Cipher::EcdheEcdsaAes128,
    Cipher::EcdheRsaAes128,
];

/// Reads a cipher string; what it does not know matches nothing, as in OpenSSL.
pub(super) fn parse(text: &str) -> Chosen {
    let mut ciphers: Vec<Cipher> = Vec::new();
    let mut missing = Vec::new();
    let mut killed: Vec<Cipher> = Vec::new();
    for element in text.split([':', ',', ' ', ';']).filter(|part| !part.is_empty()) {
        if element == "@STRENGTH" {
            ciphers.sort_by_key(|cipher| std::cmp::Reverse(bits(*cipher)));
        } else if let Some(level) = element.strip_prefix("@SECLEVEL=") {
            let least = least_bits(level);
            killed.extend(Cipher::ALL.iter().filter(|cipher| bits(**cipher) < least));
        } else if let Some(class) = element.strip_prefix('!') {
            killed.extend(matching(class));
        } else if let Some(class) = element.strip_prefix('-') {
            ciphers.retain(|cipher| !is_of(*cipher, class));
        } else if let Some(class) = element.strip_prefix('+') {
            let (last, mut first) = ciphers
                .iter()
                .partition::<Vec<_>, _>(|cipher| is_of(**cipher, class));
            first.extend(last);
            ciphers = first;
        } else {
            if is_name(element) && matching(element).next().is_none() {
                missing.push(element.to_owned());
            }
            for cipher in matching(element) {
                if !ciphers.contains(&cipher) {
                    ciphers.push(cipher);
                }
            }
        }
    }
    // `!` is for good: also for what is added after it.
    ciphers.retain(|cipher| !killed.contains(cipher));
    Chosen { ciphers, missing }
}

fn matching(class: &str) -> impl Iterator<Item = Cipher> {
    let matching = move |cipher: &Cipher| is_of(*cipher, class);
    BY_STRENGTH.into_iter().filter(matching)
}

/// Whether a suite has its name here, or all the classes.
fn is_of(cipher: Cipher, class: &str) -> bool {
    class == cipher.name() || class.split('+').all(|class| has(cipher, class))
}

fn has(cipher: Cipher, class: &str) -> bool {
    use Cipher::{
        EcdheEcdsaAes128, EcdheEcdsaAes256, EcdheEcdsaChaCha20, EcdheRsaAes128, EcdheRsaAes256,
        EcdheRsaChaCha20,
    };
    let aes = matches!(
        cipher,
        EcdheEcdsaAes128 | EcdheRsaAes128 | EcdheEcdsaAes256 | EcdheRsaAes256
    );
    match class {
        "ALL" | "DEFAULT" | "HIGH" | "TLSv1.2" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" | "ECDH" => true,
        "ECDSA" | "aECDSA" => matches!(cipher, EcdheEcdsaAes128 | EcdheEcdsaAes256 | EcdheEcdsaChaCha20),
        "aRSA" => matches!(cipher, EcdheRsaAes128 | EcdheRsaAes256 | EcdheRsaChaCha20),
        "AES" | "AESGCM" => aes,
        "AES128" => matches!(cipher, EcdheEcdsaAes128 | EcdheRsaAes128),
        "AES256" => matches!(cipher, EcdheEcdsaAes256 | EcdheRsaAes256),
        "CHACHA20" => !aes,
        "SUITEB128" => matches!(cipher, EcdheEcdsaAes128 | EcdheEcdsaAes256),
        "SUITEB192" => cipher == EcdheEcdsaAes256,
        "SUITEB128ONLY" => cipher == EcdheEcdsaAes128,
        _ => false,
    }
}

/// A suite's own name has its parts joined with `-`; classes have not.
fn is_name(element: &str) -> bool {
    element.contains('-')
}

fn bits(cipher: Cipher) -> u32 {
    match cipher {
        Cipher::EcdheEcdsaAes128 | Cipher::EcdheRsaAes128 => 128,
        _ => 256,
    }
}

/// The strength that a security level asks for (SSL_CTX_set_security_level(3)).
fn least_bits(level: &str) -> u32 {
    match level {
        "4" => 192,
        "5" => 256,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Vec<&'static str> {
        let chosen = parse(text).ciphers;
        chosen.into_iter().map(Cipher::name).collect()
    }

    /// `openssl ciphers -tls1_2 -s 'STRING'` says the same of these suites.
    #[test]
    fn classes_and_signs() {
        let all: Vec<_> = BY_STRENGTH.map(Cipher::name).into();
        for text in ["ALL", "HIGH:!aNULL:!MD5", "EECDH", "DEFAULT:@SECLEVEL=2"] {
            assert_eq!(chosen(text), all, "{text}");
        }
        assert_eq!(
            chosen("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
        );
        assert_eq!(
            chosen("ECDHE+AESGCM+aRSA"),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(
            chosen("AES128:AES256:!ECDSA:@STRENGTH"),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(chosen("!AES:ALL:-aRSA"), ["ECDHE-ECDSA-CHACHA20-POLY1305"]);
        assert_eq!(
            chosen("AES256:CHACHA20:!aECDSA:+AES256"),
            ["ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
        assert_eq!(
            chosen("AES128:CHACHA20:!aECDSA:@SECLEVEL=4"),
            ["ECDHE-RSA-CHACHA20-POLY1305"]
        );
        assert!(chosen("RC4:kRSA:3DES").is_empty());
    }

    #[test]
    fn names_that_are_not_there_are_told() {
        let chosen = parse("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:AES128-SHA:kRSA:!MD5");
        assert_eq!(chosen.missing, ["DHE-RSA-AES128-GCM-SHA256", "AES128-SHA"]);
        assert_eq!(chosen.ciphers, [Cipher::EcdheRsaAes128]);
    }
}
