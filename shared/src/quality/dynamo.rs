//! Quality data in the table, in the partition of its call: `pk = CALL#<callId>`, and
//! `sk = REPORT#<session>`, `sk = RATING#<session>#<userId>` or `sk = SAMPLES#<userId>#<slot>`.
//!
//! The summary has `sk = QUALITY#SUMMARY`, outside the range of the data. After an invalidation the
//! item has no content, and its `at` is the earliest time from which a summary replaces it.

use std::fmt;

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt as _};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::calls::timeouts::TOMBSTONE_TTL;
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, PutItemRequest, QueryRequest, Table, attribute_names, key,
    map_sdk_error, number, parse_item, put_conditionally, text,
};
use crate::ids::{BatchId, CallId, DeviceId, UserId};
use crate::quality::batch::{Batch, Platform, Slot};
use crate::quality::codec;
use crate::quality::sample::Sample;
use crate::quality::store::{
    BatchStore, MAX_PAGES, MAX_SAMPLES, QualityDataReader, ReportStore, StoreBatchResult,
    StoredQualityData, StoredRating, StoredReport, SummaryInvalidator, SummaryStore,
    UserQualityEraser,
};
use crate::quality::summary::SETTLE_TIME;
use crate::store::StoreError;
use crate::stream::event::{Rating, StatsReport};

/// A quality store on the table.
#[derive(Clone, Debug)]
pub struct DynamoQualityStore(Table);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    at: Timestamp,
    batch: BatchId,
    user_id: UserId,
    platform: Option<Platform>,
    device_id: Option<DeviceId>,
    samples: StoredSamples,
}

/// The part of a batch that identifies it.
#[derive(Deserialize)]
struct BatchKey {
    batch: BatchId,
}

/// Encoded samples: bytes, or the JSON of earlier versions.
struct StoredSamples(Vec<Sample>);

impl<'de> Deserialize<'de> for StoredSamples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StoredSamplesVisitor)
    }
}

struct StoredSamplesVisitor;

impl Visitor<'_> for StoredSamplesVisitor {
    type Value = StoredSamples;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("encoded samples")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<StoredSamples, E> {
        codec::decode(bytes).map(StoredSamples).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, json: &str) -> Result<StoredSamples, E> {
        codec::decode_json(json).map(StoredSamples).map_err(E::custom)
    }
}

#[derive(Deserialize)]
struct ReportItem {
    at: Timestamp,
    session: String,
    figures: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RatingItem {
    user_id: UserId,
    rating: u8,
    reason: Option<String>,
}

impl DynamoQualityStore {
    /// A store on this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Prepares to put an item with its times.
    fn put_request(&self, mut item: Item, at: Timestamp) -> PutItemRequest {
        insert_times(&mut item, at);
        self.0.put_item(item)
    }

    /// Prepares to read all quality data of a call, which is one range of sort keys.
    fn query_request(&self, call: &CallId) -> QueryRequest {
        self.0
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(format!("CALL#{call}")))
            .expression_attribute_values(":first", text("RATING#"))
            .expression_attribute_values(":last", text("SAMPLES#~"))
    }

    /// Puts an item unless a newer one exists.
    async fn put_if_newest(&self, item: Item, at: Timestamp) -> Result<(), StoreError> {
        let put = self
            .put_request(item, at)
            .condition_expression("attribute_not_exists(pk) OR #at <= :at")
            .set_expression_attribute_names(Some(attribute_names(&["at"])))
            .expression_attribute_values(":at", number(at.as_millis()));
        put_conditionally(put).await.map(|_| ())
    }
}

#[async_trait]
impl SummaryInvalidator for DynamoQualityStore {
    async fn invalidate_summary(&self, call: &CallId, at: Timestamp) -> Result<(), StoreError> {
        self.put_if_newest(summary_key(call), at.plus(SETTLE_TIME)).await
    }
}

#[async_trait]
impl ReportStore for DynamoQualityStore {
    async fn store_report(
        &self,
        call: &CallId,
        report: &StatsReport,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let session = report.session.as_str();
        let mut item = key(format!("CALL#{call}"), format!("REPORT#{session}"));
        item.insert("session".to_owned(), text(session));
        let Some(stats_json) = &report.stats_json else {
            // A report without statistics must not replace one with statistics.
            let put = self.put_request(item, at).condition_expression("attribute_not_exists(pk)");
            return put_conditionally(put).await.map(|_| ());
        };
        item.insert("figures".to_owned(), text(stats_json.as_str()));
        self.put_if_newest(item, at).await
    }

    async fn store_rating(
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
        self.put_if_newest(item, at).await
    }
}

#[async_trait]
impl BatchStore for DynamoQualityStore {
    async fn store_batch(
        &self,
        call: &CallId,
        batch: &Batch,
        slot: Slot,
    ) -> Result<StoreBatchResult, StoreError> {
        let item = batch_item(call, batch, slot)?;
        let put = self.0.put_item(item).condition_expression("attribute_not_exists(pk)");
        Ok(match put_conditionally(put).await? {
            ConditionalResult::Applied(_) => StoreBatchResult::Stored,
            ConditionalResult::ConditionFailed(Some(item)) => {
                let existing: BatchKey = parse_item(item)?;
                if existing.batch == batch.id {
                    StoreBatchResult::Duplicate
                } else {
                    StoreBatchResult::SlotTaken
                }
            }
            ConditionalResult::ConditionFailed(None) => StoreBatchResult::SlotTaken,
        })
    }
}

#[async_trait]
impl UserQualityEraser for DynamoQualityStore {
    async fn delete_user_data(&self, call: &CallId, user: &UserId) -> Result<(), StoreError> {
        /// Concurrent delete requests.
        const CONCURRENCY: usize = 8;
        let mut start_key = None;
        loop {
            let query = self
                .query_request(call)
                .projection_expression("pk, sk, userId")
                .set_exclusive_start_key(start_key);
            let page = query.send().await.map_err(map_sdk_error)?;
            let user_items = page.items.unwrap_or_default().into_iter().filter_map(|mut item| {
                let owner = item.remove("userId");
                let owner = owner.as_ref().and_then(|value| value.as_s().ok());
                owner.is_none_or(|owner| owner == user.as_str()).then_some(item)
            });
            let deletes = user_items.map(|item| self.0.delete_item(item).send());
            let mut deletes = stream::iter(deletes).buffer_unordered(CONCURRENCY);
            while let Some(result) = deletes.next().await {
                result.map_err(map_sdk_error)?;
            }
            start_key = page.last_evaluated_key;
            if start_key.is_none() {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl QualityDataReader for DynamoQualityStore {
    async fn load_data(&self, call: &CallId) -> Result<StoredQualityData, StoreError> {
        let mut data = StoredQualityData::default();
        let mut start_key = None;
        for _ in 0..MAX_PAGES {
            let query = self.query_request(call).set_exclusive_start_key(start_key);
            let page = query.send().await.map_err(map_sdk_error)?;
            add_page(&mut data, page.items.unwrap_or_default())?;
            start_key = page.last_evaluated_key;
            if data.truncated || start_key.is_none() {
                break;
            }
        }
        data.truncated |= start_key.is_some();
        data.reports.sort_by_key(|report| report.at);
        Ok(data)
    }
}

#[async_trait]
impl SummaryStore for DynamoQualityStore {
    async fn load_summary(&self, call: &CallId) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.0.get(summary_key(call)).await?;
        Ok(match item.and_then(|mut item| item.remove("quality")) {
            Some(AttributeValue::B(content)) => Some(content.into_inner()),
            _ => None,
        })
    }

    async fn store_summary(
        &self,
        call: &CallId,
        content: Vec<u8>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut item = summary_key(call);
        item.insert("quality".to_owned(), AttributeValue::B(Blob::new(content)));
        self.put_if_newest(item, at).await
    }
}

/// Adds the time of an item. The item expires with the call's tombstone.
fn insert_times(item: &mut Item, at: Timestamp) {
    item.insert("at".to_owned(), number(at.as_millis()));
    item.insert("ttl".to_owned(), number(at.plus(TOMBSTONE_TTL).as_secs()));
}

/// The item of a batch. Write units are counted per KB, and a minute's samples must fit in one.
fn batch_item(call: &CallId, batch: &Batch, slot: Slot) -> Result<Item, StoreError> {
    let Batch { id, user, platform, device_id, received_at, samples } = batch;
    let sort_key = format!("SAMPLES#{user}#{:03}", slot.number());
    let mut item = key(format!("CALL#{call}"), sort_key);
    item.insert("batch".to_owned(), text(id.as_str()));
    item.insert("userId".to_owned(), text(user.as_str()));
    item.insert("samples".to_owned(), AttributeValue::B(Blob::new(codec::encode(samples))));
    if let Some(platform) = platform {
        let platform = serde_dynamo::to_attribute_value(platform);
        let platform = platform.map_err(|error| StoreError::Internal(error.into()))?;
        item.insert("platform".to_owned(), platform);
    }
    if let Some(device_id) = device_id {
        item.insert("deviceId".to_owned(), text(device_id.as_str()));
    }
    insert_times(&mut item, *received_at);
    Ok(item)
}

fn summary_key(call: &CallId) -> Item {
    key(format!("CALL#{call}"), "QUALITY#SUMMARY")
}

/// Adds the items of a page, up to [`MAX_SAMPLES`]. The samples are the last items of a call.
fn add_page(data: &mut StoredQualityData, items: Vec<Item>) -> Result<(), StoreError> {
    let mut count: usize = data.batches.iter().map(|batch| batch.samples.len()).sum();
    for item in items {
        count += add_item(data, item)?;
        if count > MAX_SAMPLES {
            data.batches.pop();
            data.truncated = true;
            break;
        }
    }
    Ok(())
}

/// Adds an item, by the prefix of its sort key. Returns the number of its samples.
fn add_item(data: &mut StoredQualityData, item: Item) -> Result<usize, StoreError> {
    let sort_key = item.get("sk").and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    if sort_key.starts_with("SAMPLES#") {
        let BatchItem { at, batch, user_id, platform, device_id, samples } = parse_item(item)?;
        let count = samples.0.len();
        data.batches.push(Batch {
            id: batch,
            user: user_id,
            platform,
            device_id,
            received_at: at,
            samples: samples.0,
        });
        return Ok(count);
    } else if sort_key.starts_with("REPORT#") {
        let ReportItem { at, session, figures } = parse_item(item)?;
        data.reports.push(StoredReport { at, session, stats_json: figures });
    } else {
        let RatingItem { user_id, rating, reason } = parse_item(item)?;
        data.ratings.push(StoredRating { user: user_id, rating, reason });
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Samples;
    use crate::test_support::samples::SampleGenerator;
    use crate::test_support::user_id;

    /// The size of an item by DynamoDB's rules.
    fn item_size(item: &Item) -> usize {
        let size_of = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(number) => number.len() / 2 + 2,
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            other => panic!("{other:?}"),
        };
        item.iter().map(|(name, value)| name.len() + size_of(value)).sum()
    }

    fn minute_batch(seed: u64, user: &str, id: &str, device_id: &str) -> Batch {
        Batch {
            id: BatchId::try_from(id.to_owned()).unwrap(),
            user: user_id(user),
            platform: Some(Platform::Android),
            device_id: Some(DeviceId::try_from(device_id.to_owned()).unwrap()),
            received_at: Timestamp::from_millis(1_767_225_660_123),
            samples: SampleGenerator::new(seed).next_minute().into_vec(),
        }
    }

    #[test]
    fn batch_of_a_minute_takes_one_write_unit() {
        let uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
        let longest = |length| "x".repeat(length);
        for (call, user, id, device, limit) in [
            (
                uuid.to_owned(),
                uuid.to_owned(),
                "mit3k9x1-4fzyo82mvyr".to_owned(),
                uuid.to_owned(),
                850,
            ),
            // The longest ids.
            (longest(59), longest(64), longest(64), longest(64), 1_024),
        ] {
            let call = CallId::try_from(call).unwrap();
            for seed in 0..200 {
                let batch = minute_batch(seed, &user, &id, &device);
                let slot = Slot::probe_sequence(&batch.id).next().unwrap();
                let size = item_size(&batch_item(&call, &batch, slot).unwrap());
                assert!(size <= limit, "{size}");
            }
        }
    }

    #[test]
    fn stored_batch_is_read() {
        let batch = minute_batch(1, "alice", "b1", "phone-1");
        let call = CallId::try_from("c1".to_owned()).unwrap();
        let slot = Slot::probe_sequence(&batch.id).next().unwrap();
        let mut data = StoredQualityData::default();
        add_item(&mut data, batch_item(&call, &batch, slot).unwrap()).unwrap();
        assert_eq!(data.batches, [batch]);
    }

    /// A batch of equal samples, which needs the fewest bytes.
    fn dense_batch() -> Batch {
        let samples = minute_batch(1, "alice", "b1", "phone-1").samples;
        let samples = vec![samples[0]; Samples::MAX_COUNT];
        Batch { samples, ..minute_batch(1, "alice", "b1", "phone-1") }
    }

    #[test]
    fn samples_beyond_the_limit_are_not_read() {
        let call = CallId::try_from("c1".to_owned()).unwrap();
        let batch = dense_batch();
        let slot = Slot::probe_sequence(&batch.id).next().unwrap();
        let item = batch_item(&call, &batch, slot).unwrap();
        let max_batches = MAX_SAMPLES / Samples::MAX_COUNT;
        // The size of the items does not limit their samples.
        assert!((max_batches + 1) * item_size(&item) < 1024 * 1024);
        let mut data = StoredQualityData::default();
        add_page(&mut data, vec![item.clone(); max_batches - 1]).unwrap();
        assert!(!data.truncated);
        add_page(&mut data, vec![item.clone()]).unwrap();
        assert_eq!((data.batches.len(), data.truncated), (max_batches, false));
        add_page(&mut data, vec![item]).unwrap();
        assert_eq!((data.batches.len(), data.truncated), (max_batches, true));
    }

    #[test]
    fn invalid_samples_are_an_internal_error() {
        let batch = minute_batch(1, "alice", "b1", "phone-1");
        let call = CallId::try_from("c1".to_owned()).unwrap();
        let slot = Slot::probe_sequence(&batch.id).next().unwrap();
        for samples in [AttributeValue::B(Blob::new([9])), text("{}")] {
            let mut item = batch_item(&call, &batch, slot).unwrap();
            item.insert("samples".to_owned(), samples);
            let result = add_item(&mut StoredQualityData::default(), item);
            assert!(matches!(result, Err(StoreError::Internal(_))));
        }
    }
}
