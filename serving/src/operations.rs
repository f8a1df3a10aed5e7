//! The two services that operators expect beside any gRPC service: health and reflection.

use prost::Message;
use prost_types::FileDescriptorSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_reflection::server::Builder;

const BUILT: &str = "the descriptor set was made by this build";

/// The paths of every method in `descriptors`, health and reflection included: what metrics count by
/// name.
///
/// # Panics
/// When `descriptors` is not a descriptor set, which only a broken build can cause.
pub fn paths(descriptors: &[u8]) -> Vec<String> {
    let sets = [
        descriptors,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = Vec::new();
    for set in sets {
        let files = FileDescriptorSet::decode(set).expect(BUILT).file;
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    let (package, service) = (file.package(), service.name());
                    paths.push(format!("/{package}.{service}/{}", method.name()));
                }
            }
        }
    }
    paths
}

/// Health (`grpc.health.v1`) and reflection (v1 and v1alpha, as tools still ask for either) for the
/// service called `service`, whose contract is the encoded `FileDescriptorSet` `descriptors`. Reflection
/// knows the details of errors (`google.rpc`) too, so that tools can show them.
///
/// The server as a whole (`""`) and `service` report SERVING until `shutdown` is cancelled. From
/// then on they report NOT_SERVING, to each `Watch` too. The token that comes back is cancelled when
/// they do: a listener that waits for it closes no `Watch` before it could say so.
///
/// # Panics
/// When `descriptors` is not a descriptor set, which only a broken build can cause.
pub async fn routes(
    service: &'static str,
    descriptors: &[u8],
    shutdown: CancellationToken,
) -> (Routes, CancellationToken) {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in ["", service] {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let told = CancellationToken::new();
    let tell = told.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        for name in ["", service] {
            health
                .set_service_status(name, ServingStatus::NotServing)
                .await;
        }
        tell.cancel();
    });

    let reflection = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(health_service)
        .add_service(reflection().build_v1().expect(BUILT))
        .add_service(reflection().build_v1alpha().expect(BUILT));
    (routes, told)
}
