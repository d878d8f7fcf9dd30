//! Session tickets that every replica can open (`ssl-session-ticket-key`).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use rustls::server::ProducesTickets;
use tidegate_snapshot::TicketKey;
use tracing::warn;

/// Seconds that clients may keep a ticket, as with our own keys.
const LIFETIME: u32 = 12 * 60 * 60;

/// Seals tickets with AES-256-GCM under a key that is made of the shared one.
pub(super) struct Shared {
    /// `None`: the library takes no such key, and there are no tickets.
    key: Option<RandomizedNonceKey>,
}

impl Shared {
    pub(super) fn new(key: &TicketKey) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
        let derived = hmac::sign(&key, b"session tickets");
        let key = RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref());
        Self {
            key: key
                .inspect_err(|error| warn!(%error, "no TLS session tickets"))
                .ok(),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl ProducesTickets for Shared {
    fn enabled(&self) -> bool {
        self.key.is_some()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let key = self.key.as_ref()?;
        let nonce = key.seal_in_place_append_tag(Aad::empty(), &mut sealed).ok()?;
        Some([&nonce.as_ref()[..], &sealed].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = cipher.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let key = self.key.as_ref()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_key_opens_tickets() {
        let key = |byte| TicketKey([byte; 48].into());
        let sealed = Shared::new(&key(1)).encrypt(b"session").unwrap();
        assert_eq!(
            Shared::new(&key(1)).decrypt(&sealed).as_deref(),
            Some(&b"session"[..])
        );
        assert_eq!(Shared::new(&key(2)).decrypt(&sealed), None);
        assert_eq!(Shared::new(&key(1)).decrypt(&sealed[..11]), None);
        let mut broken = sealed.clone();
        broken[15] ^= 1;
        assert_eq!(Shared::new(&key(1)).decrypt(&broken), None);
    }
}
