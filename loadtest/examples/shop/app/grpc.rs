//! gRPC, with tonic.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    Shop,
    orders::{self, NewOrder, Refused},
    proto::{self, CreateOrderRequest, GetOrderRequest, Order, orders_server},
};

/// The service of the contract.
#[derive(Debug)]
pub(crate) struct Service(pub(crate) Arc<Shop>);

#[tonic::async_trait]
impl orders_server::Orders for Service {
    async fn create_order(
        &self,
        request: Request<CreateOrderRequest>,
    ) -> Result<Response<Order>, Status> {
        self.0.grpc_work.once();
        let wanted = NewOrder::try_from(request.into_inner())?;
        Ok(Response::new(self.0.orders.create(wanted)?.into()))
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<Order>, Status> {
        self.0.grpc_work.once();
        let order = self.0.orders.get(&request.into_inner().id)?;
        Ok(Response::new(order.into()))
    }
}

impl TryFrom<CreateOrderRequest> for NewOrder {
    type Error = Refused;

    fn try_from(message: CreateOrderRequest) -> Result<Self, Refused> {
        let invalid = |field, rule| Refused::Invalid { field, rule };
        let delivery = match message.delivery() {
            proto::Delivery::Unspecified => return Err(invalid("delivery", "must be said")),
            proto::Delivery::Standard => orders::Delivery::Standard,
            proto::Delivery::Express => orders::Delivery::Express,
            proto::Delivery::Pickup => orders::Delivery::Pickup,
        };
        let wanted_by = message.wanted_by.and_then(|time| time.try_into().ok());
        let item = |item: proto::Item| orders::Item {
            sku: item.sku,
            quantity: item.quantity,
            cents: item.cents,
        };
        Ok(Self {
            customer: message.customer,
            items: message.items.into_iter().map(item).collect(),
            note: message.note,
            delivery,
            wanted_by: wanted_by.ok_or(invalid("wanted_by", "must be a time"))?,
        })
    }
}

impl From<orders::Order> for Order {
    fn from(order: orders::Order) -> Self {
        let wanted = order.wanted;
        let item = |item: orders::Item| proto::Item {
            sku: item.sku,
            quantity: item.quantity,
            cents: item.cents,
        };
        let delivery = match wanted.delivery {
            orders::Delivery::Standard => proto::Delivery::Standard,
            orders::Delivery::Express => proto::Delivery::Express,
            orders::Delivery::Pickup => proto::Delivery::Pickup,
        };
        Self {
            id: order.id,
            customer: wanted.customer,
            items: wanted.items.into_iter().map(item).collect(),
            note: wanted.note,
            delivery: delivery.into(),
            wanted_by: Some(wanted.wanted_by.into()),
            total_cents: order.total_cents,
            created_at: Some(order.created_at.into()),
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid { .. } => Self::invalid_argument(refused.to_string()),
            Refused::NotFound(_) => Self::not_found(refused.to_string()),
        }
    }
}
