//! The DynamoDB table, accessed with the AWS SDK, and the mapping of the SDK's errors.
//!
//! Each store documents its items and keys. `docs/DATA.md` lists every access pattern.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::meta::PKG_VERSION;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{
    BatchGetItem, BatchGetItemError, BatchGetItemOutput,
};
use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::{
    BatchWriteItem, BatchWriteItemError, BatchWriteItemOutput,
};
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItem, DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItem, GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItem, PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{Query, QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::operation::scan::{Scan, ScanError, ScanOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItem, UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure, Select,
    WriteRequest,
};
use serde::de::DeserializeOwned;

use crate::config::StoreConfig;
use crate::net::operation::{ClientParts, SdkOperation, Service};
use crate::net::{self, endpoint, sdk};
use crate::store::StoreError;

/// The attributes of an item, or of a part of it such as its key.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The service, and the version of its crate.
const SERVICE: Service = Service { name: endpoint::DYNAMODB, sdk_version: PKG_VERSION };

/// The table.
#[derive(Clone)]
pub struct Table {
    pub(crate) name: String,
    client: Arc<Client>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The operations of DynamoDB. Each is built for its first request.
struct Client {
    parts: ClientParts,
    batch_get_item: OnceLock<SdkOperation>,
    batch_write_item: OnceLock<SdkOperation>,
    delete_item: OnceLock<SdkOperation>,
    get_item: OnceLock<SdkOperation>,
    put_item: OnceLock<SdkOperation>,
    query: OnceLock<SdkOperation>,
    scan: OnceLock<SdkOperation>,
    update_item: OnceLock<SdkOperation>,
}

impl Client {
    fn new(parts: ClientParts) -> Self {
        Self {
            parts,
            batch_get_item: OnceLock::new(),
            batch_write_item: OnceLock::new(),
            delete_item: OnceLock::new(),
            get_item: OnceLock::new(),
            put_item: OnceLock::new(),
            query: OnceLock::new(),
            scan: OnceLock::new(),
            update_item: OnceLock::new(),
        }
    }
}

/// A request to the table.
pub(crate) struct TableRequest<B> {
    client: Arc<Client>,
    input: B,
}

/// Defines the request of an operation. `interceptors_of_operations_are_known` must check a new
/// operation: [`SdkOperation::new`] drops its interceptors.
macro_rules! request {
    ($request:ident: $operation:ident, $field:ident, $input:ident -> $output:ident, $error:ident) => {
        pub(crate) type $request = TableRequest<$input>;

        impl $request {
            /// Sends the request, and repeats it after a retryable error.
            pub(crate) async fn send(self) -> Result<$output, SdkError<$error>> {
                let Self { client, input } = self;
                let input = input.build().map_err(SdkError::construction_failure)?;
                let operation = client.$field.get_or_init(|| {
                    SdkOperation::new(&client.parts, stringify!($operation), &$operation::new())
                });
                operation.invoke(input, $error::unhandled).await
            }
        }
    };
}

request!(
    BatchGetItemRequest: BatchGetItem, batch_get_item, BatchGetItemInputBuilder
        -> BatchGetItemOutput, BatchGetItemError
);
request!(
    BatchWriteItemRequest: BatchWriteItem, batch_write_item, BatchWriteItemInputBuilder
        -> BatchWriteItemOutput, BatchWriteItemError
);
request!(
    DeleteItemRequest: DeleteItem, delete_item, DeleteItemInputBuilder
        -> DeleteItemOutput, DeleteItemError
);
request!(GetItemRequest: GetItem, get_item, GetItemInputBuilder -> GetItemOutput, GetItemError);
request!(PutItemRequest: PutItem, put_item, PutItemInputBuilder -> PutItemOutput, PutItemError);
request!(QueryRequest: Query, query, QueryInputBuilder -> QueryOutput, QueryError);
request!(ScanRequest: Scan, scan, ScanInputBuilder -> ScanOutput, ScanError);
request!(
    UpdateItemRequest: UpdateItem, update_item, UpdateItemInputBuilder
        -> UpdateItemOutput, UpdateItemError
);

/// Defines setters of the SDK's builders for requests that have them.
macro_rules! setters {
    ([$($request:ident),+] $setters:tt) => {
        $(setters! { $request $setters })+
    };
    ($request:ident { $($setter:ident($($argument:ident: $type:ty),+);)+ }) => {
        impl $request {
            $(
                pub(crate) fn $setter(mut self, $($argument: $type),+) -> Self {
                    self.input = self.input.$setter($($argument),+);
                    self
                }
            )+
        }
    };
}

setters! { BatchGetItemRequest {
    set_request_items(items: Option<HashMap<String, KeysAndAttributes>>);
} }
setters! { BatchWriteItemRequest {
    set_request_items(items: Option<HashMap<String, Vec<WriteRequest>>>);
} }
setters! { [DeleteItemRequest, PutItemRequest, UpdateItemRequest] {
    condition_expression(expression: impl Into<String>);
    return_values_on_condition_check_failure(values: ReturnValuesOnConditionCheckFailure);
} }
setters! { [DeleteItemRequest, PutItemRequest, QueryRequest, ScanRequest, UpdateItemRequest] {
    expression_attribute_values(placeholder: impl Into<String>, value: AttributeValue);
    set_expression_attribute_names(names: Option<HashMap<String, String>>);
} }
setters! { [DeleteItemRequest, PutItemRequest, QueryRequest, UpdateItemRequest] {
    set_expression_attribute_values(values: Option<Item>);
} }
setters! { [PutItemRequest, UpdateItemRequest] {
    return_values(values: ReturnValue);
} }
setters! { [GetItemRequest, UpdateItemRequest] {
    expression_attribute_names(placeholder: impl Into<String>, name: impl Into<String>);
} }
setters! { [GetItemRequest, QueryRequest] {
    consistent_read(is_consistent: bool);
} }
setters! { [GetItemRequest, QueryRequest, ScanRequest] {
    projection_expression(expression: impl Into<String>);
} }
setters! { [QueryRequest, ScanRequest] {
    set_exclusive_start_key(key: Option<Item>);
} }
setters! { QueryRequest {
    index_name(name: impl Into<String>);
    key_condition_expression(expression: impl Into<String>);
    limit(limit: i32);
    scan_index_forward(is_forward: bool);
    select(select: Select);
} }
setters! { ScanRequest {
    filter_expression(expression: impl Into<String>);
} }
setters! { UpdateItemRequest {
    update_expression(expression: impl Into<String>);
} }

impl Table {
    /// A client of the table with the credentials that Lambda sets in the environment. Sends no
    /// request.
    #[must_use]
    pub fn new(config: &StoreConfig, http: net::Client) -> Self {
        Self::from_credentials(config, http, sdk::read_env_credentials())
    }

    /// As [`Table::new`], with other credentials.
    #[must_use]
    pub fn with_credentials(
        config: &StoreConfig,
        http: net::Client,
        credentials: Credentials,
    ) -> Self {
        Self::from_credentials(config, http, Ok(credentials))
    }

    fn from_credentials(
        config: &StoreConfig,
        http: net::Client,
        credentials: Result<Credentials, CredentialsError>,
    ) -> Self {
        let StoreConfig { table, region, endpoint } = config;
        let endpoint = endpoint::resolve(SERVICE.name, region, endpoint.as_deref());
        let parts = ClientParts::new(SERVICE, region, endpoint, credentials, http);
        Self { name: table.clone(), client: Arc::new(Client::new(parts)) }
    }

    fn request<B>(&self, input: B) -> TableRequest<B> {
        TableRequest { client: Arc::clone(&self.client), input }
    }

    /// Checks that the table responds. Reads a nonexistent item, which costs half a read unit and
    /// needs only the permission to read.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.get_item(key("PROBE", "PROBE")).send().await.map(|_| ()).map_err(map_sdk_error)
    }

    pub(crate) fn put_item(&self, item: Item) -> PutItemRequest {
        let input = PutItemInputBuilder::default().table_name(&self.name).set_item(Some(item));
        self.request(input)
    }

    pub(crate) fn update_item(&self, key: Item) -> UpdateItemRequest {
        let input = UpdateItemInputBuilder::default().table_name(&self.name).set_key(Some(key));
        self.request(input)
    }

    pub(crate) fn delete_item(&self, key: Item) -> DeleteItemRequest {
        let input = DeleteItemInputBuilder::default().table_name(&self.name).set_key(Some(key));
        self.request(input)
    }

    pub(crate) fn get_item(&self, key: Item) -> GetItemRequest {
        let input = GetItemInputBuilder::default().table_name(&self.name).set_key(Some(key));
        self.request(input)
    }

    pub(crate) fn query(&self) -> QueryRequest {
        self.request(QueryInputBuilder::default().table_name(&self.name))
    }

    pub(crate) fn scan(&self) -> ScanRequest {
        self.request(ScanInputBuilder::default().table_name(&self.name))
    }

    pub(crate) fn batch_write_item(&self) -> BatchWriteItemRequest {
        self.request(BatchWriteItemInputBuilder::default())
    }

    fn batch_get_item(&self) -> BatchGetItemRequest {
        self.request(BatchGetItemInputBuilder::default())
    }

    /// Reads an item with strong consistency.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        Ok(self.get_item(key).consistent_read(true).send().await.map_err(map_sdk_error)?.item)
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
            let request = self.batch_get_item().set_request_items(Some(pending));
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
            match request
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .send()
                .await
            {
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

conditional_write!(update_conditionally, UpdateItemRequest, UpdateItemError);
conditional_write!(put_conditionally, PutItemRequest, PutItemError);
conditional_write!(delete_conditionally, DeleteItemRequest, DeleteItemError);

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

#[cfg(test)]
mod tests;
