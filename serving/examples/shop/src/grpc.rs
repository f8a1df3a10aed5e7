//! gRPC: two services of the contract, with health and reflection beside them.

use std::sync::Arc;

use futures_util::{StreamExt, stream::BoxStream};
use serving::{
    authorization::{Authorization, AuthorizationLayer},
    cors::Origins,
    limits::Limits,
    operations::{self, Health},
    refusal::GrpcStatus,
    service::HttpService,
    side::Side,
    status_mapping::StatusMappingLayer,
};
use tonic::{Request, Response, Status, async_trait, server::NamedService};
use tower::Layer;

use crate::{
    proto::{
        CreateOrderRequest, DESCRIPTORS, GetOrderRequest, GetStockRequest, Order, StockLevel,
        WatchOrdersRequest,
        orders_server::{Orders, OrdersServer},
        stock_server::{Stock, StockServer},
    },
    store::{Failure, Store},
};

struct Service(Arc<Store>);

type Answer<T> = Result<Response<T>, Status>;
type Watched = BoxStream<'static, Result<Order, Status>>;

#[async_trait]
impl Orders for Service {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Answer<Order> {
        Ok(Response::new(self.0.create(request.into_inner()).await?))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Answer<Order> {
        Ok(Response::new(self.0.get(request.into_inner().id).await?))
    }

    type WatchOrdersStream = Watched;

    async fn watch_orders(&self, _: Request<WatchOrdersRequest>) -> Answer<Watched> {
        let orders = self.0.watch().map(|order| Ok(order?));
        Ok(Response::new(orders.boxed()))
    }
}

#[async_trait]
impl Stock for Service {
    async fn get_stock(&self, request: Request<GetStockRequest>) -> Answer<StockLevel> {
        Ok(Response::new(self.0.stock(request.into_inner().sku).await?))
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::Invalid(_) => Self::invalid_argument(text),
            Failure::NotFound(_) => Self::not_found(text),
            Failure::TooLittle => Self::failed_precondition(text),
            Failure::Missed => Self::data_loss(text),
            Failure::Away => Self::unavailable(text),
        }
    }
}

pub(crate) fn side(
    store: Arc<Store>,
    authorization: Authorization,
    health: &Health,
    limits: &Limits,
) -> Side<impl HttpService, GrpcStatus> {
    let orders = OrdersServer::new(Service(Arc::clone(&store)));
    let stock = StockServer::new(Service(store));
    let names = [OrdersServer::<Service>::NAME, StockServer::<Service>::NAME];
    let routes = operations::routes(health, &names, DESCRIPTORS)
        .add_service(orders.max_decoding_message_size(limits.message))
        .add_service(stock.max_decoding_message_size(limits.message))
        .prepare();
    // Failures of the shop have texts for callers.
    let mapping = StatusMappingLayer::new(limits.message)
        .contract(DESCRIPTORS)
        .pass_failures();
    Side {
        service: AuthorizationLayer::new(authorization, GrpcStatus).layer(mapping.layer(routes)),
        refuse: GrpcStatus,
        paths: operations::paths(DESCRIPTORS),
        origins: Origins::default(),
    }
}
