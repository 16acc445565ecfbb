//! The DynamoDB table, accessed with the AWS SDK, and the mapping of the SDK's errors.
//!
//! Each store documents its items and keys. `docs/DATA.md` lists every access pattern.

use std::collections::HashMap;
use std::error::Error;

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use serde::de::DeserializeOwned;

use crate::config::StoreConfig;
use crate::net::{self, sdk};
use crate::store::StoreError;

/// The attributes of an item, or of a part of it such as its key.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    /// A client of the table with the credentials that Lambda sets in the environment. Sends no
    /// request.
    #[must_use]
    pub fn new(config: &StoreConfig, http: net::Client) -> Self {
        Self::with_credentials(config, http, sdk::env_credentials())
    }

    /// As [`Table::new`], with other credentials.
    #[must_use]
    pub fn with_credentials(
        config: &StoreConfig,
        http: net::Client,
        credentials: impl ProvideCredentials + 'static,
    ) -> Self {
        let StoreConfig { table, region, endpoint } = config;
        let sdk_config = sdk::config(region, endpoint.as_deref(), credentials, http);
        Self { client: Client::new(&sdk_config), name: table.clone() }
    }

    /// Checks that the table responds. Reads a nonexistent item, which costs half a read unit and
    /// needs only the permission to read.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let request =
            self.client.get_item().table_name(&self.name).set_key(Some(key("PROBE", "PROBE")));
        request.send().await.map(|_| ()).map_err(map_sdk_error)
    }

    pub(crate) fn put_item(&self, item: Item) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&self.name).set_item(Some(item))
    }

    pub(crate) fn update_item(&self, key: Item) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.name).set_key(Some(key))
    }

    pub(crate) fn delete_item(&self, key: Item) -> DeleteItemFluentBuilder {
        self.client.delete_item().table_name(&self.name).set_key(Some(key))
    }

    pub(crate) fn query(&self) -> QueryFluentBuilder {
        self.client.query().table_name(&self.name)
    }

    /// Reads an item with strong consistency.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key));
        Ok(request.consistent_read(true).send().await.map_err(map_sdk_error)?.item)
    }

    /// Reads up to 100 items with strong consistency, in no particular order. The result omits
    /// items that do not exist. Keys that the table leaves unprocessed are an error, so that an
    /// unread item never counts as nonexistent.
    pub(crate) async fn batch_get(
        &self,
        keys: KeysAndAttributesBuilder,
    ) -> Result<Vec<Item>, StoreError> {
        /// The number of requests, including the retries for unprocessed keys.
        const MAX_ATTEMPTS: u32 = 2;
        let keys = keys.consistent_read(true).build();
        let keys = keys.map_err(|error| StoreError::Internal(error.into()))?;
        let mut pending = HashMap::from([(self.name.clone(), keys)]);
        let mut items = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let request = self.client.batch_get_item().set_request_items(Some(pending));
            let output = request.send().await.map_err(map_sdk_error)?;
            items.extend(output.responses.unwrap_or_default().into_values().flatten());
            pending = output.unprocessed_keys.unwrap_or_default();
            if pending.is_empty() {
                return Ok(items);
            }
        }
        Err(StoreError::Unavailable("BatchGetItem left keys unprocessed".into()))
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

/// Deserializes an item.
pub(crate) fn parse_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|error| StoreError::Internal(error.into()))
}

/// Placeholders for attribute names. Some of the names are reserved words of DynamoDB.
pub(crate) fn attribute_names(attributes: &[&str]) -> HashMap<String, String> {
    attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect()
}

/// The result of a conditional write.
#[derive(Debug, PartialEq)]
pub(crate) enum ConditionalResult {
    /// The write was applied. Contains the attributes that the request asks DynamoDB to return.
    Applied(Item),
    /// The condition failed. Contains the current item, if it exists.
    ConditionFailed(Option<Item>),
}

/// Defines the conditional form of a write. A failed condition returns the current item, so no read
/// follows it.
macro_rules! conditional_write {
    ($name:ident, $request:ty, $error:ident) => {
        pub(crate) async fn $name(request: $request) -> Result<ConditionalResult, StoreError> {
            match request.return_values_on_condition_check_failure(AllOld).send().await {
                Ok(output) => Ok(ConditionalResult::Applied(output.attributes.unwrap_or_default())),
                Err(error) => match error.as_service_error() {
                    Some($error::ConditionalCheckFailedException(failure)) => {
                        Ok(ConditionalResult::ConditionFailed(failure.item.clone()))
                    }
                    _ => Err(map_sdk_error(error)),
                },
            }
        }
    };
}

conditional_write!(update_conditionally, UpdateItemFluentBuilder, UpdateItemError);
conditional_write!(put_conditionally, PutItemFluentBuilder, PutItemError);
conditional_write!(delete_conditionally, DeleteItemFluentBuilder, DeleteItemError);

/// Maps an error of the SDK by whether a retry may succeed.
pub(crate) fn map_sdk_error<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    /// Error codes with HTTP status 400 that are retryable.
    const RETRYABLE: [&str; 4] = [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
    ];
    let is_retryable = match &error {
        SdkError::ServiceError(service) => {
            service.raw().status().is_server_error()
                || service.err().code().is_some_and(|code| RETRYABLE.contains(&code))
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    };
    if is_retryable {
        StoreError::Unavailable(error.into())
    } else {
        StoreError::Internal(error.into())
    }
}
