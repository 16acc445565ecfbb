//! The table over the AWS SDK: how it is reached, and what its errors mean.
//!
//! What is kept in it, and under which keys, is said beside each store; `docs/DATA.md` lists every
//! access pattern.

use std::collections::HashMap;
use std::error::Error;

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde::de::DeserializeOwned;

use crate::config::StoreConfig;
use crate::net::{self, sdk};
use crate::store::StoreError;

/// An item, or the part of one that a request names.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    /// Reaches the table through this client, with the credentials that Lambda puts in the
    /// environment. Nothing is sent yet.
    #[must_use]
    pub fn new(config: &StoreConfig, http: net::Client) -> Self {
        Self::with_credentials(config, http, sdk::credentials())
    }

    /// As [`Table::new`], with credentials from elsewhere.
    #[must_use]
    pub fn with_credentials(
        config: &StoreConfig,
        http: net::Client,
        credentials: impl ProvideCredentials + 'static,
    ) -> Self {
        let StoreConfig { table, region, endpoint } = config;
        let settings = sdk::settings(region, endpoint.as_deref(), credentials, http);
        Self { client: Client::new(&settings), name: table.clone() }
    }

    /// Asks for an item that is never there: whether the table answers, at the price of half a
    /// read unit and with no other permission than to read.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let get =
            self.client.get_item().table_name(&self.name).set_key(Some(key("PROBE", "PROBE")));
        get.send().await.map(|_| ()).map_err(failed)
    }

    /// Reads an item as it stands now.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key));
        Ok(get.consistent_read(true).send().await.map_err(failed)?.item)
    }

    /// Reads up to a hundred items as they stand now, in no order. Those that do not exist are left
    /// out; what the table leaves out of its answers is an error, and never taken for that.
    pub(crate) async fn get_many(
        &self,
        wanted: KeysAndAttributesBuilder,
    ) -> Result<Vec<Item>, StoreError> {
        /// How often the table is asked for what it left out of an answer.
        const ROUNDS: u32 = 2;
        let wanted = wanted.consistent_read(true).build();
        let wanted = wanted.map_err(|error| StoreError::Broken(error.into()))?;
        let mut wanted = HashMap::from([(self.name.clone(), wanted)]);
        let mut found = Vec::new();
        for _ in 0..ROUNDS {
            let batch = self.client.batch_get_item().set_request_items(Some(wanted));
            let output = batch.send().await.map_err(failed)?;
            found.extend(output.responses.unwrap_or_default().into_values().flatten());
            wanted = output.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("the table left keys out of its answers".into()))
    }
}

/// The key of an item.
pub(crate) fn key(partition: impl Into<String>, sort: impl Into<String>) -> Item {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(partition.into())),
        ("sk".to_owned(), AttributeValue::S(sort.into())),
    ])
}

/// A text attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// Reads an item that this code wrote.
pub(crate) fn read<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|error| StoreError::Broken(error.into()))
}

/// Placeholders for attribute names: many good names are reserved words of DynamoDB's.
pub(crate) fn names(attributes: &[&str]) -> HashMap<String, String> {
    attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect()
}

/// What came of a conditional write.
pub(crate) enum Written {
    /// The item as it is now, as far as the update asks for it.
    New(Item),
    /// The condition failed: the item as it stands, if there is one.
    Refused(Option<Item>),
}

/// Sends a conditional update; a refusal brings what stands there, so no read has to follow it.
pub(crate) async fn write(update: UpdateItemFluentBuilder) -> Result<Written, StoreError> {
    let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
    match update.return_values_on_condition_check_failure(all_old).send().await {
        Ok(output) => Ok(Written::New(output.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                Ok(Written::Refused(refused.item.clone()))
            }
            _ => Err(failed(error)),
        },
    }
}

/// What an error of the SDK's means.
pub(crate) fn failed<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    /// What is answered 400, and passes all the same.
    const PASSING: [&str; 4] = [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
    ];
    let passing = match &error {
        SdkError::ServiceError(service) => {
            service.raw().status().is_server_error()
                || service.err().code().is_some_and(|code| PASSING.contains(&code))
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    };
    if passing { StoreError::Unavailable(error.into()) } else { StoreError::Broken(error.into()) }
}
