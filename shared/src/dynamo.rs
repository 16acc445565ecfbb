//! The table over the AWS SDK: how it is reached, and what its errors mean.
//!
//! What is kept in it, and under which keys, is said beside each store; `docs/DATA.md` lists every
//! access pattern.

use std::collections::HashMap;
use std::error::Error;

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
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
        Self::with_credentials(config, http, sdk::env_credentials())
    }

    /// As [`Table::new`], with credentials from elsewhere.
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

    /// Asks for an item that is never there: whether the table answers, at the price of half a
    /// read unit and with no other permission than to read.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let request =
            self.client.get_item().table_name(&self.name).set_key(Some(key("PROBE", "PROBE")));
        request.send().await.map(|_| ()).map_err(map_sdk_error)
    }

    /// Reads an item as it stands now.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key));
        Ok(request.consistent_read(true).send().await.map_err(map_sdk_error)?.item)
    }

    /// Reads up to a hundred items as they stand now, in no order. Those that do not exist are left
    /// out; what the table leaves out of its answers is an error, and never taken for that.
    pub(crate) async fn batch_get(
        &self,
        keys: KeysAndAttributesBuilder,
    ) -> Result<Vec<Item>, StoreError> {
        /// How often the table is asked for what it left out of an answer.
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
pub(crate) fn parse_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|error| StoreError::Internal(error.into()))
}

/// Placeholders for attribute names: many good names are reserved words of DynamoDB's.
pub(crate) fn attribute_names(attributes: &[&str]) -> HashMap<String, String> {
    attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect()
}

/// The result of a conditional write.
#[derive(Debug, PartialEq)]
pub(crate) enum ConditionalResult {
    /// The write was applied. The item holds what the request asks to be returned.
    Applied(Item),
    /// The condition failed: the current item, if there is one.
    ConditionFailed(Option<Item>),
}

/// Sends a conditional update. A failed condition returns the current item, so no read follows it.
pub(crate) async fn update_conditionally(
    update: UpdateItemFluentBuilder,
) -> Result<ConditionalResult, StoreError> {
    let result = update.return_values_on_condition_check_failure(AllOld).send().await;
    conditional_result(
        result,
        |output| output.attributes,
        |error| match error {
            UpdateItemError::ConditionalCheckFailedException(failure) => Some(failure.item.clone()),
            _ => None,
        },
    )
}

/// As [`update_conditionally`], for a put.
pub(crate) async fn put_conditionally(
    put: PutItemFluentBuilder,
) -> Result<ConditionalResult, StoreError> {
    let result = put.return_values_on_condition_check_failure(AllOld).send().await;
    conditional_result(
        result,
        |output| output.attributes,
        |error| match error {
            PutItemError::ConditionalCheckFailedException(failure) => Some(failure.item.clone()),
            _ => None,
        },
    )
}

/// As [`update_conditionally`], for a delete.
pub(crate) async fn delete_conditionally(
    delete: DeleteItemFluentBuilder,
) -> Result<ConditionalResult, StoreError> {
    let result = delete.return_values_on_condition_check_failure(AllOld).send().await;
    conditional_result(
        result,
        |output| output.attributes,
        |error| match error {
            DeleteItemError::ConditionalCheckFailedException(failure) => Some(failure.item.clone()),
            _ => None,
        },
    )
}

fn conditional_result<O, E>(
    result: Result<O, SdkError<E>>,
    attributes: impl FnOnce(O) -> Option<Item>,
    failed_condition: impl FnOnce(&E) -> Option<Option<Item>>,
) -> Result<ConditionalResult, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match result {
        Ok(output) => Ok(ConditionalResult::Applied(attributes(output).unwrap_or_default())),
        Err(error) => match error.as_service_error().and_then(failed_condition) {
            Some(item) => Ok(ConditionalResult::ConditionFailed(item)),
            None => Err(map_sdk_error(error)),
        },
    }
}

/// What an error of the SDK's means.
pub(crate) fn map_sdk_error<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    /// What is answered 400, and passes all the same.
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
