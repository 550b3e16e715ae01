//! HTTP/2 connections of a thread, each shared by a number of streams.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::http2::{self, Connection};
use super::line::Manner;

/// A fixed number of connections with a fixed number of places for streams on each.
#[derive(Debug)]
pub(crate) struct Streams {
    address: SocketAddr,
    manner: Manner,
    /// Locked for as long as a lost one is made again.
    connections: Vec<Mutex<Connection>>,
    /// For each place that is free, the connection that it is on; the longest free first.
    free: RefCell<VecDeque<usize>>,
    places: Semaphore,
}

/// A place on a connection, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    streams: &'a Streams,
    index: usize,
    _permit: SemaphorePermit<'a>,
}

impl Streams {
    /// Opens all connections.
    pub(crate) async fn open(
        address: SocketAddr,
        connections: usize,
        streams: usize,
        manner: Manner,
    ) -> Result<Self, String> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(Mutex::new(http2::open(address, manner).await?));
        }
        let free = (0..streams).flat_map(|_| 0..connections).collect();
        let places = Semaphore::new(connections * streams);
        Ok(Self { address, manner, connections: opened, free: RefCell::new(free), places })
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// None that a caller can meet: the places are never closed.
    pub(crate) async fn take(&self) -> Result<Place<'_>, String> {
        let permit = self.places.acquire().await.map_err(|e| e.to_string())?;
        let index = self.free.borrow_mut().pop_front().ok_or("a permit stands for a free place")?;
        Ok(Place { streams: self, index, _permit: permit })
    }
}

impl Place<'_> {
    /// The connection; one that was lost is made again.
    ///
    /// # Errors
    /// Where it cannot be.
    pub(crate) async fn connection(&self) -> Result<Connection, String> {
        let mut connection = self.streams.connections[self.index].lock().await;
        if connection.is_closed() {
            *connection = http2::open(self.streams.address, self.streams.manner).await?;
        }
        Ok(connection.clone())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.streams.free.borrow_mut().push_back(self.index);
    }
}
