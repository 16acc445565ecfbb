//! Faults of the consumers, which a test injects.

use std::sync::Mutex;

use super::record::StreamRecord;
use crate::sync::lock;

/// A consumer of the table's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamConsumer {
    /// The event source mapping of a function.
    Mapping,
    /// The pipe to the event bus.
    Pipe,
}

/// A fault of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFault {
    /// The consumer.
    pub consumer: StreamConsumer,
    /// The kind of the fault.
    pub kind: StreamFaultKind,
}

/// A way in which a delivery fails or repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFaultKind {
    /// This number of invocations fails, without a run of the function.
    FailInvocations(u32),
    /// Every invocation fails whose batch has a record of an item with this partition key, until
    /// the faults are cleared.
    FailRecordsOf(String),
    /// The next batch that succeeds is delivered a second time.
    RepeatBatch,
    /// The next `PutEvents` request that has an entry at this index, counted from 0, fails for this
    /// entry. Only a pipe sends such requests.
    FailEntry(usize),
}

/// The active faults, in the order in which they were added.
#[derive(Default)]
pub(super) struct StreamFaults(Mutex<Vec<StreamFault>>);

impl StreamFaults {
    pub(super) fn add(&self, fault: StreamFault) {
        lock(&self.0).push(fault);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Whether a fault has not occurred, or not often enough.
    pub(super) fn is_pending(&self) -> bool {
        lock(&self.0).iter().any(|fault| fault.kind != StreamFaultKind::FailInvocations(0))
    }

    /// Whether the next invocation of this consumer fails.
    pub(super) fn fails_invocation(
        &self,
        consumer: StreamConsumer,
        records: &[StreamRecord],
    ) -> bool {
        let mut faults = lock(&self.0);
        for fault in faults.iter_mut().filter(|fault| fault.consumer == consumer) {
            match &mut fault.kind {
                StreamFaultKind::FailInvocations(times) if *times > 0 => {
                    *times -= 1;
                    return true;
                }
                StreamFaultKind::FailRecordsOf(key)
                    if records.iter().any(|record| record.has_partition_key(key)) =>
                {
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Whether a batch that succeeded is delivered again.
    pub(super) fn take_repeat(&self, consumer: StreamConsumer) -> bool {
        self.take(consumer, |kind| (*kind == StreamFaultKind::RepeatBatch).then_some(())).is_some()
    }

    /// The index of the entry that fails in a `PutEvents` request with this number of entries.
    pub(super) fn take_failing_entry(&self, entry_count: usize) -> Option<usize> {
        self.take(StreamConsumer::Pipe, |kind| match kind {
            StreamFaultKind::FailEntry(index) if *index < entry_count => Some(*index),
            _ => None,
        })
    }

    /// Removes the first fault of a consumer that `select` selects.
    fn take<T>(
        &self,
        consumer: StreamConsumer,
        select: impl Fn(&StreamFaultKind) -> Option<T>,
    ) -> Option<T> {
        let mut faults = lock(&self.0);
        let (position, selected) = faults.iter().enumerate().find_map(|(position, fault)| {
            let selected = (fault.consumer == consumer).then(|| select(&fault.kind)).flatten()?;
            Some((position, selected))
        })?;
        faults.remove(position);
        Some(selected)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::record::samples::records;
    use super::*;

    fn faults(
        entries: impl IntoIterator<Item = (StreamConsumer, StreamFaultKind)>,
    ) -> StreamFaults {
        let faults = StreamFaults::default();
        for (consumer, kind) in entries {
            faults.add(StreamFault { consumer, kind });
        }
        faults
    }

    #[test]
    fn invocations_of_one_consumer_fail() {
        let faults = faults([(StreamConsumer::Mapping, StreamFaultKind::FailInvocations(2))]);
        let batch = records([1], SystemTime::now());
        assert!(!faults.fails_invocation(StreamConsumer::Pipe, &batch));
        let fails = [(); 3].map(|()| faults.fails_invocation(StreamConsumer::Mapping, &batch));
        assert_eq!(fails, [true, true, false]);
    }

    #[test]
    fn batches_with_a_record_fail_until_faults_are_cleared() {
        let kind = StreamFaultKind::FailRecordsOf("CALL#c2".to_owned());
        let faults = faults([(StreamConsumer::Pipe, kind)]);
        let fails = |numbers: [u32; 2]| {
            let batch = records(numbers, SystemTime::now());
            faults.fails_invocation(StreamConsumer::Pipe, &batch)
        };
        assert!(fails([1, 2]) && fails([2, 3]));
        assert!(!fails([1, 3]));
        faults.clear();
        assert!(!fails([1, 2]));
    }

    #[test]
    fn repeat_and_failing_entry_apply_once() {
        let faults = faults([
            (StreamConsumer::Mapping, StreamFaultKind::RepeatBatch),
            (StreamConsumer::Pipe, StreamFaultKind::FailEntry(1)),
        ]);
        assert!(!faults.take_repeat(StreamConsumer::Pipe));
        assert!(faults.take_repeat(StreamConsumer::Mapping));
        assert!(!faults.take_repeat(StreamConsumer::Mapping));

        assert_eq!(faults.take_failing_entry(1), None);
        assert_eq!(faults.take_failing_entry(2), Some(1));
        assert_eq!(faults.take_failing_entry(2), None);
    }
}
