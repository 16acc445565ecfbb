//! The endpoints of AWS's services.
//!
//! The SDK's rules read a table of all regions first. They also support FIPS, dual stack and the
//! endpoints of accounts, which are not used here.

use aws_smithy_types::endpoint::Endpoint;

use crate::error::BoxError;

/// The name of DynamoDB in endpoints and signatures.
pub(crate) const DYNAMODB: &str = "dynamodb";
/// The name of Secrets Manager in endpoints and signatures.
pub(crate) const SECRETS_MANAGER: &str = "secretsmanager";

/// The domains of the partitions other than `aws` and `aws-us-gov`, by the start of their regions
/// (`partitions.json` of the AWS SDKs).
const DOMAINS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
];

/// The domain of all other regions.
const DEFAULT_DOMAIN: &str = "amazonaws.com";

/// The endpoint of a service in a region, or this URL in its place.
///
/// # Errors
///
/// The region is empty, longer than 63 bytes, starts with a hyphen, or has other characters than
/// letters, digits and hyphens.
pub(crate) fn resolve(
    service: &str,
    region: &str,
    url: Option<&str>,
) -> Result<Endpoint, BoxError> {
    const MAX_LABEL_BYTES: usize = 63;
    if let Some(url) = url {
        return Ok(Endpoint::builder().url(url.to_owned()).build());
    }
    let is_label = (1..=MAX_LABEL_BYTES).contains(&region.len())
        && !region.starts_with('-')
        && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_label {
        let rule = "the region must have letters, digits and hyphens only, and no hyphen first";
        return Err(rule.into());
    }
    let is_in_partition = |(start, _): &&(&str, &str)| region.starts_with(start);
    let domain = DOMAINS.iter().find(is_in_partition).map_or(DEFAULT_DOMAIN, |(_, domain)| *domain);
    Ok(Endpoint::builder().url(format!("https://{service}.{region}.{domain}")).build())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The regions of all partitions in 2026, and four that do not exist.
    const REGIONS: [&str; 50] = [
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "cn-north-1",
        "cn-northwest-1",
        "eu-central-1",
        "eu-central-2",
        "eu-isoe-west-1",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eusc-de-east-1",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-gov-east-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "us-iso-west-1",
        "us-isob-east-1",
        "us-isob-west-1",
        "us-isof-east-1",
        "us-isof-south-1",
        "us-west-1",
        "us-west-2",
        "us-future-9",
        "xx-future-1",
        "us-east",
        "us-east-a",
    ];

    /// Compares the endpoints of a service with those of the SDK's rules. A partition that a later
    /// version of the SDK adds is not in the list.
    pub(crate) fn check_endpoints(
        service: &str,
        resolve_by_sdk: impl Fn(&str) -> Result<Endpoint, BoxError>,
    ) {
        for region in REGIONS {
            let endpoint = resolve(service, region, None).unwrap();
            assert_eq!(endpoint, resolve_by_sdk(region).unwrap(), "{region}");
        }
        let too_long = "a".repeat(64);
        for invalid in ["", "a b", "us-east-1/x", "-us-east-1", &too_long] {
            assert!(resolve(service, invalid, None).is_err(), "{invalid}");
            assert!(resolve_by_sdk(invalid).is_err(), "{invalid}");
        }
        // No region has several labels.
        assert!(resolve(service, "us.east", None).is_err());
        assert!(resolve_by_sdk("us.east").is_ok());
    }

    #[test]
    fn url_replaces_the_endpoint_of_the_region() {
        let endpoint = resolve(DYNAMODB, "", Some("http://127.0.0.1:8000")).unwrap();
        assert_eq!(endpoint.url(), "http://127.0.0.1:8000");
    }

    /// The SDK's rules select `http://localhost:8000`.
    #[test]
    fn local_is_no_special_region() {
        let endpoint = resolve(DYNAMODB, "local", None).unwrap();
        assert_eq!(endpoint.url(), "https://dynamodb.local.amazonaws.com");
    }
}
