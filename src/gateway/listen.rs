//! Where connections come in: the HTTP server with what its sockets need, on either transport.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::{HttpMessage, HttpService, Request};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service, map_config,
};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Extensions, Payload, Server, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpResponse};
use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::gate::Gate;
use super::raw;
use crate::actors::CutSocket;
use crate::config::Transport;
use crate::limits;

/// The duplicate of a connection's descriptor, waiting in its extensions for an upgrade to take it.
#[derive(Default)]
pub(super) struct CutHandle(Mutex<Option<CutSocket>>);

impl CutHandle {
    pub(super) fn take(&self) -> Option<CutSocket> {
        self.0.lock().take()
    }
}

/// An HTTP server on `listen` with what its sockets need: their [options](prepare), room for refusals beyond the last
/// admitted connection, a bounded write buffer, and an immediate end of closed connections (at its default the
/// transport keeps an answered close open for a second). Answers the addresses it is bound to and the server, which
/// runs when it is awaited; stopping it is up to the caller, signals included.
///
/// The raw transport differs in one thing: a request to upgrade is answered by the same routes, but by a service that
/// owns the connection, so that a socket can take it away from HTTP for good.
pub fn serve(
    gate: &Gate,
    listen: impl ToSocketAddrs,
    workers: usize,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<(Vec<SocketAddr>, Server)> {
    let gives_away = gate.transport() == Transport::Raw;
    let mut builder = Server::build()
        .workers(workers)
        .max_concurrent_connections((gate.limits().connections_max as usize).saturating_add(1_024))
        .shutdown_timeout(1)
        .disable_signals();
    let mut addrs = Vec::new();
    for listener in bind(listen)? {
        addrs.push(listener.local_addr()?);
        let routes = routes.clone();
        // A pump that is a task ends itself when it is told to; one that is an actor may be frozen.
        let duplicates = (!gives_away).then(|| gate.spare_descriptors());
        builder = builder.listen("tessera", listener, move || {
            let (app, for_upgrades) = (routes.clone(), routes.clone());
            let duplicates = duplicates.clone();
            let upgrades = fn_factory(move || {
                let routes = service(for_upgrades.clone()).new_service(());
                async move {
                    let routes = Rc::new(routes.await?);
                    Ok::<_, ()>(fn_service(move |(request, framed)| raw::answer(routes.clone(), request, framed)))
                }
            });
            HttpService::build()
                .client_disconnect_timeout(Duration::ZERO)
                .h1_write_buffer_size(limits::SOCKET_WRITE_BUFFER_BYTES)
                .on_connect_ext(move |stream, extensions| prepare(stream, extensions, duplicates.as_ref()))
                .finish(service(app))
                .upgrade(gives_away.then_some(upgrades))
                .tcp()
        })?;
    }
    Ok((addrs, builder.run()))
}

/// The routes as a service of HTTP messages.
fn service(
    routes: impl Fn(&mut ServiceConfig) + Clone + 'static,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = ServiceResponse<BoxBody>,
    Error = HttpResponse,
    InitError = (),
    Service = impl Service<Request, Response = ServiceResponse<BoxBody>, Error = HttpResponse> + 'static,
> {
    let app = App::new().configure(routes).wrap_fn(|mut request, routes| {
        let body = hold_body(&mut request);
        let answer = routes.call(request);
        async move {
            let answer = answer.await?;
            Ok(match body {
                Some(body) => answer.map_body(|_, answer| BoxBody::new(Holding { answer, _body: body })),
                None => answer,
            })
        }
    });
    map_config(app.into_factory().map_err(|error| error.error_response()), |()| AppConfig::default())
}

/// Keeps hold of a request's body in chunks until the answer has left. A handler that leaves such a body unread, and
/// drops it, would otherwise oblige the transport to read the rest of it, without end and for nobody; while it is held
/// the connection ends with the answer instead.
fn hold_body(request: &mut ServiceRequest) -> Option<Rc<RefCell<Payload>>> {
    if !request.headers().contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    let body = Rc::new(RefCell::new(request.take_payload()));
    let read = body.clone();
    let stream = futures_util::stream::poll_fn(move |cx| Pin::new(&mut *read.borrow_mut()).poll_next(cx));
    request.set_payload(Payload::Stream { payload: Box::pin(stream) });
    Some(body)
}

/// An answer that keeps hold of the body of its request.
struct Holding {
    answer: BoxBody,
    _body: Rc<RefCell<Payload>>,
}

impl MessageBody for Holding {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        match self.answer.size() {
            // What has no body is not kept, and so would keep nothing.
            BodySize::None => BodySize::Sized(0),
            size => size,
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(cx)
    }
}

fn bind(listen: impl ToSocketAddrs) -> io::Result<Vec<TcpListener>> {
    let bind = |addr: SocketAddr| {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(limits::SOCKET_BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    let mut listeners = Vec::new();
    let mut refused = None;
    for addr in listen.to_socket_addrs()? {
        match bind(addr) {
            Ok(listener) => listeners.push(listener),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        _ if !listeners.is_empty() => Ok(listeners),
        Some(error) => Err(error),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on")),
    }
}

/// What is done for every accepted connection: sets the socket's options, and duplicates its descriptor where one of
/// the spare ones is left.
///
/// Without the bound on unsent bytes, a client that stops reading is sent megabytes of states that are stale by the
/// time it reads on, and they sit in kernel memory that no resident size shows.
fn prepare(stream: &TcpStream, extensions: &mut Extensions, spare_descriptors: Option<&Arc<AtomicU32>>) {
    let socket = SockRef::from(stream);
    // An option that the platform refuses leaves the socket slower or larger, not wrong.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_send_buffer_size(limits::SOCKET_SEND_BYTES);
    let _ = socket.set_recv_buffer_size(limits::SOCKET_RECEIVE_BYTES);
    #[cfg(target_os = "linux")]
    {
        let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(limits::SOCKET_UNACKED_MS)));
        let _ = socket.set_tcp_notsent_lowat(limits::SOCKET_UNSENT_BYTES);
    }
    if let Some(spare) = spare_descriptors {
        extensions.insert(CutHandle(Mutex::new(CutSocket::duplicate(&socket, spare))));
    }
}
