//! The operations on the push devices of the token's user.

use super::Client;
use crate::world::ApiResult;
use crate::world::devices::{CreateDevice, DeviceQuery};

impl Client<'_> {
    pub(crate) fn create_device(&mut self, request: CreateDevice) -> ApiResult {
        self.world.create_device(Some(&self.user.id), request, self.now)
    }

    pub(crate) fn list_devices(&self, query: DeviceQuery) -> ApiResult {
        self.world.list_devices(Some(&self.user.id), query)
    }

    pub(crate) fn delete_device(&mut self, query: DeviceQuery) -> ApiResult {
        self.world.delete_device(Some(&self.user.id), query)
    }
}
