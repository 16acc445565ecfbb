//! Evidence in the table, beside its call: `pk = CALL#<callId>`, and `sk = REPORT#<session>`,
//! `sk = RATING#<session>#<userId>` or `sk = SAMPLES#<userId>#<slot>`.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;

use crate::calls::TOMBSTONE;
use crate::clock::Timestamp;
use crate::dynamo::{Item, Table, failed, key, names, number, read, text};
use crate::ids::{BatchId, CallId, UserId};
use crate::quality::batch::{Batch, Platform, Slot};
use crate::quality::evidence::{Evidence, EvidenceStore, Kept, KeptRating, KeptReport, MOST_READ};
use crate::quality::sample::Sample;
use crate::store::StoreError;
use crate::stream::event::{Rating, Report};

/// The evidence of a table.
#[derive(Clone, Debug)]
pub struct DynamoEvidence(Table);

/// A batch as it is stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    at: Timestamp,
    batch: BatchId,
    user_id: UserId,
    platform: Option<Platform>,
    samples: String,
}

/// A report as it is stored.
#[derive(Deserialize)]
struct ReportItem {
    at: Timestamp,
    session: String,
    figures: Option<String>,
}

/// A rating as it is stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RatingItem {
    user_id: UserId,
    rating: u8,
    reason: Option<String>,
}

/// What a conditional put came to.
enum Put {
    Done,
    /// The item that stands there.
    Refused(Option<Item>),
}

impl DynamoEvidence {
    /// The evidence of this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Starts to put an item, which leaves with its call's tombstone.
    fn put(&self, mut item: Item, at: Timestamp) -> PutItemFluentBuilder {
        item.insert("at".to_owned(), number(at.as_millis()));
        item.insert("ttl".to_owned(), number(at.plus(TOMBSTONE).as_secs()));
        self.0.client.put_item().table_name(&self.0.name).set_item(Some(item))
    }

    /// Starts to read all that is kept with a call: one range of sort keys holds it.
    fn range(&self, call: &CallId) -> QueryFluentBuilder {
        self.0
            .client
            .query()
            .table_name(&self.0.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(format!("CALL#{call}")))
            .expression_attribute_values(":first", text("RATING#"))
            .expression_attribute_values(":last", text("SAMPLES#~"))
    }

    /// Puts an item, unless a newer one stands there.
    async fn keep(&self, item: Item, at: Timestamp) -> Result<(), StoreError> {
        let put = self
            .put(item, at)
            .condition_expression("attribute_not_exists(pk) OR #at <= :at")
            .set_expression_attribute_names(Some(names(&["at"])))
            .expression_attribute_values(":at", number(at.as_millis()));
        send(put).await.map(|_| ())
    }
}

async fn send(put: PutItemFluentBuilder) -> Result<Put, StoreError> {
    match put.send().await {
        Ok(_) => Ok(Put::Done),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                Ok(Put::Refused(refused.item.clone()))
            }
            _ => Err(failed(error)),
        },
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
        let Some(figures) = &report.figures else {
            // That there is a report is no news where its figures are known.
            let put = self.put(item, at).condition_expression("attribute_not_exists(pk)");
            return send(put).await.map(|_| ());
        };
        item.insert("figures".to_owned(), text(figures.as_str()));
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

    async fn keep_batch(
        &self,
        call: &CallId,
        batch: &Batch,
        slot: Slot,
    ) -> Result<Kept, StoreError> {
        let Batch { id, user, platform, received_at, samples } = batch;
        let sort = format!("SAMPLES#{user}#{:03}", slot.number());
        let mut item = key(format!("CALL#{call}"), sort);
        let broken = |error: serde_json::Error| StoreError::Broken(error.into());
        item.insert("batch".to_owned(), text(id.as_str()));
        item.insert("userId".to_owned(), text(user.as_str()));
        item.insert("samples".to_owned(), text(serde_json::to_string(samples).map_err(broken)?));
        if let Some(platform) = platform {
            let platform = serde_dynamo::to_attribute_value(platform);
            let platform = platform.map_err(|error| StoreError::Broken(error.into()))?;
            item.insert("platform".to_owned(), platform);
        }
        let put = self
            .put(item, *received_at)
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match send(put).await? {
            Put::Done => Kept::New,
            Put::Refused(Some(found)) => {
                let found: BatchItem = read(found)?;
                if found.batch == *id { Kept::Before } else { Kept::Taken }
            }
            Put::Refused(None) => Kept::Taken,
        })
    }

    async fn forget(&self, call: &CallId, user: &UserId) -> Result<(), StoreError> {
        /// How many items are deleted at the same time.
        const AT_ONCE: usize = 8;
        let mut next = None;
        loop {
            let query = self
                .range(call)
                .projection_expression("pk, sk, userId")
                .set_exclusive_start_key(next);
            let page = query.send().await.map_err(failed)?;
            let theirs = page.items.unwrap_or_default().into_iter().filter_map(|mut item| {
                let whose = item.remove("userId");
                let whose = whose.as_ref().and_then(|it| it.as_s().ok());
                whose.is_none_or(|whose| whose == user.as_str()).then_some(item)
            });
            let deleted = theirs.map(|item| {
                let delete = self.0.client.delete_item().table_name(&self.0.name);
                delete.set_key(Some(item)).send()
            });
            let mut deleted = stream::iter(deleted).buffer_unordered(AT_ONCE);
            while let Some(outcome) = deleted.next().await {
                outcome.map_err(failed)?;
            }
            next = page.last_evaluated_key;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    async fn evidence(&self, call: &CallId) -> Result<Evidence, StoreError> {
        let mut evidence = Evidence::default();
        let mut next = None;
        for _ in 0..MOST_READ {
            let query = self.range(call).set_exclusive_start_key(next);
            let page = query.send().await.map_err(failed)?;
            for item in page.items.unwrap_or_default() {
                take(&mut evidence, item)?;
            }
            next = page.last_evaluated_key;
            if next.is_none() {
                break;
            }
        }
        evidence.cut = next.is_some();
        evidence.reports.sort_by_key(|report| report.at);
        Ok(evidence)
    }
}

/// Takes an item in by what its sort key begins with.
fn take(evidence: &mut Evidence, item: Item) -> Result<(), StoreError> {
    let sort = item.get("sk").and_then(|sort| sort.as_s().ok()).cloned().unwrap_or_default();
    if sort.starts_with("SAMPLES#") {
        let BatchItem { at, batch, user_id, platform, samples } = read(item)?;
        let samples: Vec<Sample> =
            serde_json::from_str(&samples).map_err(|error| StoreError::Broken(error.into()))?;
        let batch = Batch { id: batch, user: user_id, platform, received_at: at, samples };
        evidence.batches.push(batch);
    } else if sort.starts_with("REPORT#") {
        let ReportItem { at, session, figures } = read(item)?;
        evidence.reports.push(KeptReport { at, session, figures });
    } else {
        let RatingItem { user_id, rating, reason } = read(item)?;
        evidence.ratings.push(KeptRating { user: user_id, rating, reason });
    }
    Ok(())
}
