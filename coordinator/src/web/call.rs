//! Making a gRPC call of a message that is known by its descriptor only, and its answer to JSON.

use std::convert::Infallible;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, header};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};
use tower::Service;

use super::problem::Problem;
use super::request::Read;
use super::routes::Route;

/// Largest answer: what the services send at most, a page of 1000 jobs with large specs.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What of an HTTP request goes along with the call.
const PASSED_ON: [&str; 3] = ["authorization", "user-agent", "x-request-id"];

/// Answers with the one message that a call gives.
pub(super) async fn unary<S>(calls: S, route: &Route, read: Read) -> Result<Response<Body>, Problem>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let mut grpc = Grpc::new(calls).max_decoding_message_size(MAX_ANSWER_BYTES);
    grpc.ready().await.unwrap_or_else(|never| match never {});
    let (message, path, codec) = prepared(&route.method, read);
    let answer = grpc.unary(message, path, codec).await?.into_inner();
    Ok(super::full(StatusCode::OK, "application/json", Bytes::from(to_json(&answer)?.to_string())))
}

/// The messages that a call gives.
pub(super) async fn streaming<S>(
    calls: S,
    route: &Route,
    read: Read,
) -> Result<Streaming<DynamicMessage>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let mut grpc = Grpc::new(calls).max_decoding_message_size(MAX_ANSWER_BYTES);
    grpc.ready().await.unwrap_or_else(|never| match never {});
    let (message, path, codec) = prepared(&route.method, read);
    Ok(grpc.server_streaming(message, path, codec).await?.into_inner())
}

/// The canonical JSON of a message.
pub(super) fn to_json(message: &DynamicMessage) -> Result<Value, Status> {
    serde_json::to_value(message)
        .map_err(|error| Status::internal(format!("an answer that is no JSON: {error}")))
}

fn prepared(
    method: &MethodDescriptor,
    read: Read,
) -> (tonic::Request<DynamicMessage>, PathAndQuery, Dynamic) {
    let mut headers = read.parts.headers;
    let dropped: Vec<_> =
        headers.keys().filter(|name| !PASSED_ON.contains(&name.as_str())).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    headers.remove(header::CONTENT_LENGTH);
    let metadata = MetadataMap::from_headers(headers);
    let request = tonic::Request::from_parts(metadata, read.parts.extensions, read.message);
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path).expect("names of calls are plain words");
    (request, path, Dynamic { answer: method.output() })
}

/// Messages as bytes, by their descriptors.
struct Dynamic {
    answer: MessageDescriptor,
}

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = ToBytes;
    type Decoder = FromBytes;

    fn encoder(&mut self) -> ToBytes {
        ToBytes
    }

    fn decoder(&mut self) -> FromBytes {
        FromBytes(self.answer.clone())
    }
}

struct ToBytes;

impl Encoder for ToBytes {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

struct FromBytes(MessageDescriptor);

impl Decoder for FromBytes {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
