//! Evidence in the table, beside its call: `pk = CALL#<callId>`, `sk = REPORT#<session>` and
//! `sk = RATING#<session>#<userId>`.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;

use crate::calls::TOMBSTONE;
use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, failed, key, names, number, text};
use crate::ids::CallId;
use crate::quality::EvidenceStore;
use crate::store::StoreError;
use crate::stream::event::{Rating, Report};

/// The evidence of a table.
#[derive(Clone, Debug)]
pub struct DynamoEvidence(Table);

impl DynamoEvidence {
    /// The evidence of this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Puts an item, unless a newer one stands there.
    async fn keep(&self, mut item: Item, at: Timestamp) -> Result<(), StoreError> {
        item.insert("at".to_owned(), number(at.as_millis()));
        item.insert("ttl".to_owned(), number(at.plus(TOMBSTONE).as_secs()));
        let put = self
            .0
            .client
            .put_item()
            .table_name(&self.0.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR #at <= :at")
            .set_expression_attribute_names(Some(names(&["at"])))
            .expression_attribute_values(":at", number(at.as_millis()));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed(error)),
            },
        }
    }
}

#[async_trait]
impl EvidenceStore for DynamoEvidence {
    async fn keep_report(
        &self,
        call: &CallId,
        report: &Report,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let session = report.session.as_str();
        let mut item = key(format!("CALL#{call}"), format!("REPORT#{session}"));
        item.insert("session".to_owned(), text(session));
        if let Some(figures) = &report.figures {
            item.insert("figures".to_owned(), text(figures.as_str()));
        }
        self.keep(item, at).await
    }

    async fn keep_rating(
        &self,
        call: &CallId,
        rating: &Rating,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (session, user) = (rating.session.as_str(), rating.user.as_str());
        let mut item = key(format!("CALL#{call}"), format!("RATING#{session}#{user}"));
        item.insert("session".to_owned(), text(session));
        item.insert("userId".to_owned(), text(user));
        item.insert("rating".to_owned(), number(rating.rating));
        if let Some(reason) = &rating.reason {
            item.insert("reason".to_owned(), text(reason.as_str()));
        }
        self.keep(item, at).await
    }
}
