//! An authority whose certificates name OCSP responders, and what these say.
//! Shared by the library's tests and the integration tests.

#![allow(dead_code, unreachable_pub, reason = "each of them uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SigningKey,
};
use rustls::pki_types::CertificateDer;
use x509_cert::der::asn1::{BitString, GeneralizedTime, Ia5String, Null, ObjectIdentifier, OctetString};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus,
    ResponderId, ResponseBytes, ResponseData, RevokedInfo, SingleResponse, Version,
};
use x509_parser::prelude::{FromDer, X509Certificate};

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ID_AD_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

/// Makes certificates, and answers about them.
pub struct Authority {
    pub certificate: CertificateDer<'static>,
    pub key: KeyPair,
    params: CertificateParams,
    pem: String,
}

/// A certificate of an [`Authority`].
pub struct Leaf {
    /// With the authority's behind it.
    pub chain: Vec<CertificateDer<'static>>,
    pub chain_pem: String,
    pub key: KeyPair,
}

/// What a response says about a certificate. Times are in seconds from now.
pub struct Says {
    pub serial: u64,
    pub status: CertStatus,
    pub begin: i64,
    pub end: Option<i64>,
    /// It has an extension that must be understood.
    pub critical: bool,
}

impl Says {
    /// That it is good, since a minute ago and for an hour.
    pub fn good(serial: u64) -> Self {
        Self {
            serial,
            status: CertStatus::good(),
            begin: -60,
            end: Some(3600),
            critical: false,
        }
    }

    /// That it was revoked a minute ago.
    pub fn revoked(serial: u64) -> Self {
        let info = RevokedInfo {
            revocation_time: time(-60),
            revocation_reason: None,
        };
        Self {
            status: CertStatus::Revoked(info),
            ..Self::good(serial)
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::named("Authority")
    }
}

impl Authority {
    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            params,
            key,
        }
    }

    /// A certificate for this name.
    pub fn leaf(&self, name: &str, serial: u64, responders: &[&str]) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        if !responders.is_empty() {
            params.custom_extensions.push(access(responders));
        }
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Leaf {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            chain_pem: certificate.pem() + &self.pem,
            key,
        }
    }

    /// A responder's key and certificate for these purposes, which ends in so
    /// many seconds.
    pub fn responder(
        &self,
        purposes: &[ExtendedKeyUsagePurpose],
        ends: i64,
    ) -> (KeyPair, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = purposes.to_vec();
        params.not_after = (SystemTime::UNIX_EPOCH + from_now(ends)).into();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (key, certificate.der().clone())
    }

    /// An answer with the authority's own signature.
    pub fn says(&self, says: &Says) -> Vec<u8> {
        self.says_by(says, &self.key, &[])
    }

    /// An answer with the signature of `signer`, and these certificates.
    pub fn says_by(&self, says: &Says, signer: &KeyPair, certificates: &[CertificateDer<'_>]) -> Vec<u8> {
        let id = self.id(says.serial);
        let extension = Extension {
            extn_id: ObjectIdentifier::new_unwrap("1.2.3.4"),
            critical: true,
            extn_value: OctetString::new([]).unwrap(),
        };
        let single = SingleResponse {
            cert_id: id.clone(),
            cert_status: says.status,
            this_update: time(says.begin),
            next_update: says.end.map(time),
            single_extensions: says.critical.then(|| vec![extension]),
        };
        let data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(id.issuer_key_hash),
            produced_at: time(says.begin),
            responses: vec![single],
            response_extensions: None,
        };
        let signature = signer.sign(&data.to_der().unwrap()).unwrap();
        let certificates = certificates
            .iter()
            .map(|der| x509_cert::Certificate::from_der(der).unwrap());
        let certificates: Vec<_> = certificates.collect();
        let basic = BasicOcspResponse {
            tbs_response_data: data,
            signature_algorithm: AlgorithmIdentifierOwned {
                oid: ECDSA_WITH_SHA256,
                parameters: None,
            },
            signature: BitString::from_bytes(&signature).unwrap(),
            certs: (!certificates.is_empty()).then_some(certificates),
        };
        let response = OcspResponse {
            response_status: OcspResponseStatus::Successful,
            response_bytes: Some(ResponseBytes {
                response_type: BasicOcspResponse::OID,
                response: OctetString::new(basic.to_der().unwrap()).unwrap(),
            }),
        };
        response.to_der().unwrap()
    }

    fn id(&self, serial: u64) -> CertId {
        let (_, own) = X509Certificate::from_der(&self.certificate).unwrap();
        let hash =
            |bytes: &[u8]| OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()).unwrap();
        CertId {
            hash_algorithm: AlgorithmIdentifierOwned {
                oid: SHA1,
                parameters: Some(Null.into()),
            },
            issuer_name_hash: hash(own.subject().as_raw()),
            issuer_key_hash: hash(&own.public_key().subject_public_key.data),
            serial_number: SerialNumber::from(serial),
        }
    }
}

impl Leaf {
    /// As a Secret of this name, in YAML that begins with `---`.
    pub fn secret(&self, name: &str) -> String {
        let indent = |pem: &str| pem.trim_end().replace('\n', "\n    ");
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\nstringData:\n  \
             tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
            indent(&self.chain_pem),
            indent(&self.key.serialize_pem())
        )
    }
}

/// The extension that says who answers (RFC 5280 §4.2.2.1).
fn access(responders: &[&str]) -> CustomExtension {
    let description = |url: &&str| AccessDescription {
        access_method: ID_AD_OCSP,
        access_location: GeneralName::UniformResourceIdentifier(Ia5String::new(url).unwrap()),
    };
    let access = AuthorityInfoAccessSyntax(responders.iter().map(description).collect());
    CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, access.to_der().unwrap())
}

/// Since 1970.
fn from_now(seconds: i64) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Duration::from_secs(now.as_secs().checked_add_signed(seconds).unwrap())
}

fn time(seconds: i64) -> OcspGeneralizedTime {
    OcspGeneralizedTime(GeneralizedTime::from_unix_duration(from_now(seconds)).unwrap())
}
