//! What is known of where a client is: GeoIP databases in MaxMind's format, and
//! ingress-nginx's variables over them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// Databases in a folder (`use-geoip2`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeoIp {
    /// The folder with `EDITION.mmdb` files.
    pub directory: PathBuf,
    /// Their names without the ending (`--maxmind-edition-ids`).
    pub editions: Vec<String>,
    /// How often files are looked at for changes
    /// (`geoip2-autoreload-in-minutes`).
    pub reload: Duration,
}

impl GeoIp {
    /// Where ingress-nginx has them.
    pub const DIRECTORY: &str = "/etc/ingress-controller/geoip";
    /// Those that ingress-nginx asks for.
    pub const EDITIONS: [&str; 2] = ["GeoLite2-City", "GeoLite2-ASN"];
    /// Without `geoip2-autoreload-in-minutes`.
    pub const RELOAD: Duration = Duration::from_secs(10);
}

impl Default for GeoIp {
    fn default() -> Self {
        Self {
            directory: Self::DIRECTORY.into(),
            editions: Self::EDITIONS.map(str::to_owned).to_vec(),
            reload: Self::RELOAD,
        }
    }
}

/// What a database tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum GeoDatabase {
    City,
    Country,
    Asn,
    Isp,
    ConnectionType,
    AnonymousIp,
}

impl GeoDatabase {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::City,
        Self::Country,
        Self::Asn,
        Self::Isp,
        Self::ConnectionType,
        Self::AnonymousIp,
    ];

    /// That of an edition like `GeoLite2-City`.
    pub fn of_edition(edition: &str) -> Option<Self> {
        let (_, kind) = edition.split_once('-')?;
        Self::ALL.into_iter().find(|database| database.name() == kind)
    }

    fn name(self) -> &'static str {
        match self {
            Self::City => "City",
            Self::Country => "Country",
            Self::Asn => "ASN",
            Self::Isp => "ISP",
            Self::ConnectionType => "Connection-Type",
            Self::AnonymousIp => "Anonymous-IP",
        }
    }
}

/// A step into a database's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoStep {
    /// Into a map.
    Key(&'static str),
    /// Into a list.
    Index(usize),
}

macro_rules! fields {
    ($($name:literal $variant:ident $database:ident [$($step:expr),*] $default:literal,)*) => {
        /// A variable of ingress-nginx over a GeoIP database.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each has the name of its variable")]
        pub enum GeoField {
            $($variant,)*
        }

        impl GeoField {
            /// Every one; its place here is its number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// nginx's name, without `$`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The database that tells it.
            pub fn database(self) -> GeoDatabase {
                match self {
                    $(Self::$variant => GeoDatabase::$database,)*
                }
            }

            /// Where in a record it is.
            pub fn path(self) -> &'static [GeoStep] {
                match self {
                    $(Self::$variant => const { &[$($step),*] },)*
                }
            }

            /// Its value where the database says nothing.
            pub fn default_value(self) -> &'static str {
                match self {
                    $(Self::$variant => $default,)*
                }
            }
        }
    };
}

const fn key(name: &'static str) -> GeoStep {
    GeoStep::Key(name)
}

const FIRST: GeoStep = GeoStep::Index(0);
const SECOND: GeoStep = GeoStep::Index(1);

fields! {
    "geoip2_country_code" CountryCode Country [key("country"), key("iso_code")] "",
    "geoip2_country_name" CountryName Country [key("country"), key("names"), key("en")] "",
    "geoip2_country_geoname_id" CountryGeonameId Country [key("country"), key("geoname_id")] "",
    "geoip2_continent_code" ContinentCode Country [key("continent"), key("code")] "",
    "geoip2_continent_name" ContinentName Country [key("continent"), key("names"), key("en")] "",
    "geoip2_continent_geoname_id" ContinentGeonameId Country [key("continent"), key("geoname_id")] "",
    "geoip2_city_country_code" CityCountryCode City [key("country"), key("iso_code")] "",
    "geoip2_city_country_name" CityCountryName City [key("country"), key("names"), key("en")] "",
    "geoip2_city_country_geoname_id" CityCountryGeonameId City [key("country"), key("geoname_id")] "",
    "geoip2_city" City City [key("city"), key("names"), key("en")] "",
    "geoip2_city_geoname_id" CityGeonameId City [key("city"), key("geoname_id")] "",
    "geoip2_postal_code" PostalCode City [key("postal"), key("code")] "",
    "geoip2_dma_code" DmaCode City [key("location"), key("metro_code")] "",
    "geoip2_latitude" Latitude City [key("location"), key("latitude")] "",
    "geoip2_longitude" Longitude City [key("location"), key("longitude")] "",
    "geoip2_time_zone" TimeZone City [key("location"), key("time_zone")] "",
    "geoip2_region_code" RegionCode City [key("subdivisions"), FIRST, key("iso_code")] "",
    "geoip2_region_name" RegionName City [key("subdivisions"), FIRST, key("names"), key("en")] "",
    "geoip2_region_geoname_id" RegionGeonameId City [key("subdivisions"), FIRST, key("geoname_id")] "",
    "geoip2_subregion_code" SubregionCode City [key("subdivisions"), SECOND, key("iso_code")] "",
    "geoip2_subregion_name" SubregionName City [key("subdivisions"), SECOND, key("names"), key("en")] "",
    "geoip2_subregion_geoname_id" SubregionGeonameId City [key("subdivisions"), SECOND, key("geoname_id")] "",
    "geoip2_city_continent_code" CityContinentCode City [key("continent"), key("code")] "",
    "geoip2_city_continent_name" CityContinentName City [key("continent"), key("names"), key("en")] "",
    "geoip2_city_continent_geoname_id" CityContinentGeonameId City [key("continent"), key("geoname_id")] "",
    "geoip2_asn" Asn Asn [key("autonomous_system_number")] "",
    "geoip2_org" Org Asn [key("autonomous_system_organization")] "",
    "geoip2_isp" Isp Isp [key("isp")] "",
    "geoip2_isp_org" IspOrg Isp [key("organization")] "",
    "geoip2_connection_type" ConnectionType ConnectionType [key("connection_type")] "",
    "geoip2_is_anon" IsAnon AnonymousIp [key("is_anonymous")] "",
    "geoip2_is_anonymous" IsAnonymous AnonymousIp [key("is_anonymous")] "0",
    "geoip2_is_anonymous_vpn" IsAnonymousVpn AnonymousIp [key("is_anonymous_vpn")] "0",
    "geoip2_is_hosting_provider" IsHostingProvider AnonymousIp [key("is_hosting_provider")] "0",
    "geoip2_is_public_proxy" IsPublicProxy AnonymousIp [key("is_public_proxy")] "0",
    "geoip2_is_tor_exit_node" IsTorExitNode AnonymousIp [key("is_tor_exit_node")] "0",
}

impl GeoField {
    /// The variable of this name (without `$`).
    pub fn parse(name: &str) -> Option<Self> {
        // Nearly no name is one of them.
        if !name.starts_with("geoip2_") {
            return None;
        }
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_are_databases() {
        for (edition, database) in [
            ("GeoLite2-City", Some(GeoDatabase::City)),
            ("GeoIP2-Connection-Type", Some(GeoDatabase::ConnectionType)),
            ("GeoIP2-Anonymous-IP", Some(GeoDatabase::AnonymousIp)),
            ("GeoIP2-Domain", None),
            ("City", None),
        ] {
            assert_eq!(GeoDatabase::of_edition(edition), database, "{edition}");
        }
    }

    #[test]
    fn variables_are_known_by_their_names() {
        for (number, field) in GeoField::ALL.iter().enumerate() {
            assert_eq!(GeoField::parse(field.name()), Some(*field));
            assert_eq!(*field as usize, number);
        }
        assert_eq!(GeoField::parse("geoip2_nonsense"), None);
        assert_eq!(GeoField::parse("host"), None);
    }
}
