//! Encodes, decodes and routes with `core` and `alloc` alone: `cargo xtask no-std` builds and runs it.
//!
//! The C runtime calls `main`; nothing of Rust's `std` is linked. The status is 0 when everything came out as it
//! should, else the number of the step that did not.
#![no_std]
#![no_main]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use mqtt_codec::packet::{ConnectBuilder, Publish, Subscribe, SubscriptionOptions};
use mqtt_codec::{
    Codec, Packet, PacketId, PacketRef, Properties, Property, QoS, Text, TopicFilter, TopicName, TopicTree,
    Version,
};

/// An arena that is only ever filled: small devices have no more.
struct Arena {
    memory: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

const SIZE: usize = 64 * 1024;

// SAFETY: `used` hands out every byte of `memory` once.
unsafe impl Sync for Arena {}

// SAFETY: the pointers are aligned, do not overlap, and point into `memory`, which lives for ever.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let padding = (base as usize).wrapping_add(used).wrapping_neg() & (layout.align() - 1);
            let Some(end) = used.checked_add(padding).and_then(|at| at.checked_add(layout.size())) else {
                return core::ptr::null_mut();
            };
            if end > SIZE {
                return core::ptr::null_mut();
            }
            match self.used.compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: `end` is within the arena.
                Ok(_) => return unsafe { base.add(used + padding) },
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena = Arena { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) };

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: `abort` of the C library may be called at any time.
    unsafe { abort() }
}

#[unsafe(no_mangle)]
extern "C" fn main(_arguments: i32, _values: *const *const u8) -> i32 {
    for (step, holds) in (1..).zip([round_trip, borrowed, routing]) {
        if holds(Version::V3_1_1).is_none() || holds(Version::V5).is_none() {
            return step;
        }
    }
    0
}

fn round_trip(version: Version) -> Option<()> {
    let (client, mut server) = (Codec::client(version), Codec::server());
    let mut buffer = BytesMut::new();
    let mut connect = ConnectBuilder::new(version, Text::try_from("device").ok()?);
    connect.username = Some(Text::try_from("user").ok()?);
    client.encode(&connect.build().ok()?.into(), &mut buffer).ok()?;
    let mut publish =
        Publish::new(TopicName::try_from("a/b").ok()?, "payload").at_least_once(PacketId::new(1)?);
    if version.is_v5() {
        let properties = Properties::new().with(Property::ContentType("text/plain")).ok()?;
        publish = publish.with_properties(&properties).ok()?;
    }
    let publish = Packet::from(publish);
    client.encode(&publish, &mut buffer).ok()?;
    let filter = TopicFilter::try_from("a/+").ok()?;
    let subscribe = Subscribe::new(PacketId::new(2)?, [(&filter, SubscriptionOptions::at(QoS::AtLeastOnce))]);
    client.encode(&subscribe.into(), &mut buffer).ok()?;

    let Packet::Connect(connect) = server.decode(&mut buffer).ok()?? else { return None };
    (connect.client_id() == "device" && connect.username() == Some("user")).then_some(())?;
    (server.decode(&mut buffer).ok()?? == publish).then_some(())?;
    let Packet::Subscribe(subscribe) = server.decode(&mut buffer).ok()?? else { return None };
    (subscribe.filters().next()?.0.as_bytes() == b"a/+" && buffer.is_empty()).then_some(())
}

fn borrowed(version: Version) -> Option<()> {
    let mut client = Codec::client(version);
    let used = ARENA.used.load(Ordering::Relaxed);
    let received = if version.is_v5() { &b"\x30\x08\x00\x03a/b\x00hi"[..] } else { b"\x30\x07\x00\x03a/bhi" };
    let (PacketRef::Publish(publish), len) = client.decode_ref(received).ok()?? else { return None };
    (publish.topic() == "a/b" && publish.payload() == b"hi" && len == received.len()).then_some(())?;
    client.decode_ref(b"\x30\x03\x00\x01#").is_err().then_some(())?;
    // Nothing was allocated.
    (ARENA.used.load(Ordering::Relaxed) == used).then_some(())
}

fn routing(_: Version) -> Option<()> {
    let mut tree = TopicTree::new();
    tree.insert(&TopicFilter::try_from("a/+/c").ok()?, 1);
    tree.insert(&TopicFilter::try_from("a/#").ok()?, 2);
    (tree.matches(b"a/b/c").copied().sum::<i32>() == 3 && tree.matches(b"b").next().is_none()).then_some(())
}
