//! Removes the push devices of a user at Stream, so that a lost phone no longer rings.

use futures_util::stream::{self, StreamExt as _};

use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::stream::StreamError;
use crate::stream::ops::{DeleteDevice, Device, ListDevices};
use crate::users::UserService;

/// The number of removals that run at the same time.
const CONCURRENCY: usize = 8;

impl UserService {
    /// Removes all push devices of the user at Stream. Returns how many removals Stream has
    /// confirmed.
    ///
    /// The user's tokens must be revoked before: a revoked token registers no further device, so
    /// none is missing in the list. After a failure the other devices are still removed, and a retry
    /// removes the remaining ones.
    ///
    /// # Errors
    ///
    /// `user_deleted`, `stream_bad_answer` if a device cannot be read, and the errors of Stream.
    pub async fn remove_devices(&self, id: &UserId, deadline: Deadline) -> Result<u32, ApiError> {
        let listed = match self.stream.send(&ListDevices { user: id }, deadline).await {
            Ok(response) => response.devices,
            // The user is in the table, so it was deleted at Stream.
            Err(StreamError::NotFound(_)) => return Err(ApiError::from_code(Code::UserDeleted)),
            Err(error) => return Err(error.into()),
        };
        let count = listed.len();
        let devices: Vec<Device> = listed.into_iter().flatten().collect();
        let removals: Vec<_> =
            devices.iter().map(|device| self.remove_device(id, &device.id, deadline)).collect();
        let results: Vec<_> = stream::iter(removals).buffer_unordered(CONCURRENCY).collect().await;
        let mut removed = 0;
        for result in results {
            removed += u32::from(result?);
        }
        if devices.len() < count {
            return Err(StreamError::InvalidResponse("a device cannot be read".into()).into());
        }
        Ok(removed)
    }

    /// Removes a device. Returns false if it does not exist any more.
    async fn remove_device(
        &self,
        user: &UserId,
        id: &str,
        deadline: Deadline,
    ) -> Result<bool, StreamError> {
        match self.stream.send(&DeleteDevice { user, id }, deadline).await {
            Ok(_) => Ok(true),
            Err(StreamError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
