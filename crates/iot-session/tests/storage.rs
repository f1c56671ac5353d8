//! What carries out the wishes of a store, under a paused clock: groups, order, durability, failures.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use iot_session::stage::{EntryId, StoreError, StoreErrorKind, StoreOp, Stored};
use iot_session::storage::{
    Change, Disk, Durability, MemoryDisk, MemoryStorage, Storage, WriteOptions, channel, open, read_all,
    serve, spawn,
};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::advance;

fn append(id: u64) -> StoreOp {
    StoreOp::Append(EntryId(id), Bytes::from_static(b"record"))
}

fn remove(id: u64) -> StoreOp {
    StoreOp::Remove(EntryId(id))
}

fn take(id: u64) -> StoreOp {
    StoreOp::Take(EntryId(id))
}

fn load(from: u64) -> StoreOp {
    StoreOp::Load { from: EntryId(from), entries: 10, bytes: 1000 }
}

fn durable(through: u64) -> Stored {
    Stored::Appended { through: EntryId(through), durable: true }
}

fn written(through: u64) -> Stored {
    Stored::Appended { through: EntryId(through), durable: false }
}

fn full() -> StoreError {
    StoreError::new(StoreErrorKind::Full, "full")
}

/// A disk in memory that is served on a task.
struct Bench {
    disk: Disk,
    memory: MemoryDisk,
    task: JoinHandle<()>,
}

impl Bench {
    fn new(options: WriteOptions) -> Self {
        let memory = MemoryDisk::new();
        let (disk, server) = channel();
        let task = tokio::spawn(serve(MemoryStorage::new(&memory), server, options));
        Self { disk, memory, task }
    }

    /// Asks for all of this at once. What is said by the time that nothing more happens.
    async fn ask(&mut self, ops: impl IntoIterator<Item = StoreOp>) -> Vec<Stored> {
        ops.into_iter().for_each(|op| self.disk.send(op));
        self.settle().await
    }

    async fn settle(&mut self) -> Vec<Stored> {
        for _ in 0..10 {
            yield_now().await;
        }
        let mut answers = Vec::new();
        poll_fn(|context| {
            while let Poll::Ready(Some(answer)) = self.disk.poll_answer(context) {
                answers.push(answer);
            }
            Poll::Ready(())
        })
        .await;
        answers
    }

    async fn after(&mut self, millis: u64) -> Vec<Stored> {
        // The task arms its timer first.
        yield_now().await;
        advance(Duration::from_millis(millis)).await;
        self.settle().await
    }

    fn on_disk(&self) -> Vec<u64> {
        self.memory.entries().keys().map(|id| id.0).collect()
    }
}

fn interval(millis: u64) -> WriteOptions {
    WriteOptions::default().durability(Durability::Interval(Duration::from_millis(millis)))
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_at_once_is_one_synchronised_commit() {
    let mut bench = Bench::new(WriteOptions::default());
    assert_eq!(bench.ask((1..=100).map(append)).await, [durable(100)]);
    let counts = bench.memory.counts();
    assert_eq!((counts.commits, counts.syncs), (1, 1));
    bench.memory.crash();
    assert_eq!(bench.on_disk().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_group_is_more_than_one_commit() {
    let mut bench = Bench::new(WriteOptions::default());
    let answers = bench.ask((1..=3000).map(append)).await;
    assert_eq!(answers, [durable(1024), durable(2048), durable(3000)]);
    let large = |id| StoreOp::Append(EntryId(id), vec![0; 600_000].into());
    let answers = bench.ask((3001..=3004).map(large)).await;
    assert_eq!(answers, [durable(3002), durable(3004)], "a megabyte is enough for one");
}

#[tokio::test(start_paused = true)]
async fn removals_ride_along_with_what_is_written_next() {
    let mut bench = Bench::new(WriteOptions::default());
    bench.ask([append(1), append(2)]).await;
    assert_eq!(bench.ask([remove(1)]).await, []);
    assert_eq!(bench.on_disk(), [1, 2], "put off");
    bench.ask([append(3)]).await;
    assert_eq!(bench.on_disk(), [2, 3]);
    assert_eq!(bench.memory.counts().commits, 2);
}

#[tokio::test(start_paused = true)]
async fn removals_without_company_are_made_after_250_ms_or_once_there_are_256() {
    let mut bench = Bench::new(WriteOptions::default());
    bench.ask((1..=600).map(append)).await;
    bench.ask([remove(1)]).await;
    bench.after(249).await;
    assert_eq!(bench.on_disk().len(), 600);
    bench.after(1).await;
    assert_eq!(bench.on_disk().len(), 599);
    bench.ask((2..=257).map(remove)).await;
    assert_eq!(bench.on_disk().len(), 343);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_removed_in_the_same_group_is_not_there_afterwards() {
    let mut bench = Bench::new(WriteOptions::default());
    assert_eq!(bench.ask([append(1), remove(1), append(2)]).await, [durable(2)]);
    assert_eq!(bench.on_disk(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_is_gone_for_good_by_the_time_of_the_answer() {
    for options in
        [WriteOptions::default(), interval(1000), WriteOptions::default().durability(Durability::None)]
    {
        let mut bench = Bench::new(options);
        bench.ask([append(1), append(2)]).await;
        let answers = bench.ask([take(1)]).await;
        assert_eq!(answers.last(), Some(&Stored::Taken(EntryId(1))), "{options:?}");
        bench.memory.crash();
        assert!(!bench.on_disk().contains(&1), "{options:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reading_sees_what_was_asked_for_before() {
    let mut bench = Bench::new(WriteOptions::default());
    let answers = bench.ask([append(1), append(2), remove(1), load(0), append(3)]).await;
    let page = vec![(EntryId(2), Bytes::from_static(b"record"))];
    assert_eq!(answers, [durable(2), Stored::Loaded(page), durable(3)]);
}

#[tokio::test(start_paused = true)]
async fn at_an_interval_it_is_synchronised_within_that_time_under_load_too() {
    let mut bench = Bench::new(interval(1000));
    assert_eq!(bench.ask([append(1)]).await, [written(1)]);
    assert_eq!(bench.after(999).await, []);
    assert_eq!(bench.memory.counts().syncs, 0);
    assert_eq!(bench.after(1).await, [durable(1)]);
    let mut syncs = 0;
    for id in 2..=41 {
        let answers = bench.ask([append(id)]).await;
        syncs +=
            answers.iter().filter(|answer| matches!(answer, Stored::Appended { durable: true, .. })).count();
        syncs += bench.after(100).await.len();
    }
    assert!((3..=4).contains(&syncs), "{syncs} in four seconds");
}

#[tokio::test(start_paused = true)]
async fn without_durability_nothing_is_synchronised_before_the_orderly_end() {
    let mut bench = Bench::new(WriteOptions::default().durability(Durability::None));
    assert_eq!(bench.ask([append(1)]).await, [written(1)]);
    assert_eq!(bench.after(3_600_000).await, []);
    assert_eq!(bench.memory.counts().syncs, 0);
    bench.disk.close();
    assert_eq!(bench.settle().await, [durable(1)]);
    bench.memory.crash();
    assert_eq!(bench.on_disk(), [1]);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_everything_is_made_and_the_store_is_let_go_of_before_that_is_told() {
    struct Watched(MemoryStorage, std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl Drop for Watched {
        fn drop(&mut self) {
            self.1.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    impl Storage for Watched {
        fn commit(&mut self, changes: &[Change], sync: bool) -> Result<(), StoreError> {
            self.0.commit(changes, sync)
        }
        fn load(&mut self, from: EntryId, n: usize, b: usize) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
            self.0.load(from, n, b)
        }
    }
    let (memory, dropped) = (MemoryDisk::new(), std::sync::Arc::default());
    let storage = Watched(MemoryStorage::new(&memory), std::sync::Arc::clone(&dropped));
    let mut disk = spawn(storage, WriteOptions::default()).unwrap();
    (1..=10).for_each(|id| disk.send(append(id)));
    (1..=9).for_each(|id| disk.send(remove(id)));
    disk.close();
    assert!(disk.is_closed());
    while poll_fn(|context| disk.poll_answer(context)).await.is_some() {}
    assert!(dropped.load(std::sync::atomic::Ordering::SeqCst));
    memory.crash();
    assert_eq!(memory.entries().keys().copied().collect::<Vec<_>>(), [EntryId(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_what_is_new_and_still_removes_what_is_old() {
    let mut bench = Bench::new(WriteOptions::default());
    bench.memory.capacity(Some(12));
    assert_eq!(bench.ask([append(1), append(2)]).await, [durable(2)]);
    let answers = bench.ask([remove(1), append(3), append(4)]).await;
    assert!(
        matches!(answers.as_slice(), [Stored::NotAppended(EntryId(3), a), Stored::NotAppended(EntryId(4), _)]
            if a.kind() == StoreErrorKind::Full),
        "{answers:?}"
    );
    assert_eq!(bench.on_disk(), [2], "which made room");
    assert_eq!(bench.ask([append(5)]).await, [durable(5)]);
}

#[tokio::test(start_paused = true)]
async fn removals_that_fail_are_told_once_and_tried_again_every_second() {
    let mut bench = Bench::new(WriteOptions::default());
    bench.ask([append(1)]).await;
    bench.memory.fail_with(Some(full()));
    bench.ask([remove(1)]).await;
    assert_eq!(bench.after(250).await, [Stored::NotRemoved(full())]);
    for _ in 0..5 {
        assert_eq!(bench.after(1000).await, []);
    }
    bench.memory.fail_with(None);
    assert_eq!(bench.after(1000).await, []);
    assert_eq!(bench.on_disk(), [0_u64; 0]);
    // The next failure is told again.
    bench.ask([append(2)]).await;
    bench.memory.fail_with(Some(full()));
    bench.ask([remove(2)]).await;
    assert_eq!(bench.after(250).await, [Stored::NotRemoved(full())]);
}

#[tokio::test(start_paused = true)]
async fn errors_answer_everything_that_was_asked_for() {
    let mut bench = Bench::new(WriteOptions::default());
    bench.ask([append(1)]).await;
    bench.memory.fail_with(Some(full()));
    let answers = bench.ask([append(2), take(1), load(0)]).await;
    assert!(
        matches!(
            answers.as_slice(),
            [
                Stored::NotAppended(EntryId(2), _),
                Stored::NotTaken(EntryId(1), _),
                Stored::NotRemoved(_),
                Stored::NotLoaded(_)
            ]
        ),
        "{answers:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_told_as_not_appended_is_removed_should_it_be_there_all_the_same() {
    struct Liar(MemoryStorage, bool);
    impl Storage for Liar {
        fn commit(&mut self, changes: &[Change], sync: bool) -> Result<(), StoreError> {
            self.0.commit(changes, sync)?;
            if std::mem::take(&mut self.1) { Err(full()) } else { Ok(()) }
        }
        fn load(&mut self, from: EntryId, n: usize, b: usize) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
            self.0.load(from, n, b)
        }
    }
    let memory = MemoryDisk::new();
    let (disk, server) = channel();
    let task = tokio::spawn(serve(Liar(MemoryStorage::new(&memory), true), server, WriteOptions::default()));
    let mut bench = Bench { disk, memory, task };
    assert_eq!(bench.ask([append(1)]).await, [Stored::NotAppended(EntryId(1), full())]);
    bench.after(1000).await;
    assert_eq!(bench.on_disk(), [0_u64; 0]);
}

#[tokio::test]
async fn a_store_that_panics_ends_the_answers_and_not_the_program() {
    struct Panics;
    impl Storage for Panics {
        fn commit(&mut self, _: &[Change], _: bool) -> Result<(), StoreError> {
            panic!("as a store of somebody's might")
        }
        fn load(&mut self, _: EntryId, _: usize, _: usize) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
            Ok(Vec::new())
        }
    }
    let mut disk = spawn(Panics, WriteOptions::default()).unwrap();
    disk.send(append(1));
    assert_eq!(poll_fn(|context| disk.poll_answer(context)).await, None);
    disk.send(append(2));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_goes_away_without_a_word_ends_it_too() {
    let Bench { mut disk, memory, task } = Bench::new(WriteOptions::default());
    disk.send(append(1));
    drop(disk);
    task.await.unwrap();
    memory.crash();
    assert_eq!(memory.entries().len(), 1);
}

fn keep(version: u64) -> StoreOp {
    StoreOp::Keep { version, record: Bytes::from(version.to_string()) }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_of_the_session_survives_a_loss_of_power_by_the_time_of_the_answer() {
    for options in
        [WriteOptions::default(), interval(1000), WriteOptions::default().durability(Durability::None)]
    {
        let mut bench = Bench::new(options);
        // Of those asked for together the last one counts.
        assert_eq!(bench.ask([keep(1), keep(2)]).await, [Stored::Kept { version: 2 }], "{options:?}");
        bench.memory.crash();
        assert_eq!(bench.memory.entries().get(&EntryId::SESSION).unwrap(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_removed_is_gone_once_a_later_record_of_the_session_is_there() {
    let mut bench = Bench::new(WriteOptions::default().removal_delay(Duration::from_secs(3600)));
    bench.ask([append(1), append(2)]).await;
    bench.ask([remove(1)]).await;
    bench.ask([keep(1)]).await;
    bench.memory.crash();
    assert_eq!(bench.on_disk(), [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_the_session_that_does_not_fit_is_told_and_the_one_before_stays() {
    let mut bench = Bench::new(WriteOptions::default());
    bench.ask([keep(1)]).await;
    bench.memory.fail_with(Some(full()));
    assert_eq!(bench.ask([keep(2)]).await, [Stored::NotKept { version: 2, error: full() }]);
    bench.memory.fail_with(None);
    assert_eq!(bench.memory.entries().get(&EntryId::SESSION).unwrap(), "1");
    assert_eq!(bench.ask([keep(3)]).await, [Stored::Kept { version: 3 }]);
}

/// Gives the same page whatever is asked for.
struct Page(Vec<(EntryId, Bytes)>);

impl Storage for Page {
    fn commit(&mut self, _: &[Change], _: bool) -> Result<(), StoreError> {
        Ok(())
    }
    fn load(&mut self, _: EntryId, _: usize, _: usize) -> Result<Vec<(EntryId, Bytes)>, StoreError> {
        Ok(self.0.clone())
    }
}

#[test]
fn a_store_that_gives_entries_out_of_order_is_an_error_and_no_endless_loop() {
    let mut seen = Vec::new();
    let stuck = Page(vec![(EntryId(7), Bytes::from_static(b"record"))]);
    let error = open(stuck, WriteOptions::default()).map(drop).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupted);
    let mut stuck = Page(vec![(EntryId(7), Bytes::from_static(b"record"))]);
    let error = read_all(&mut stuck, |id, _| {
        seen.push(id);
        Ok(())
    })
    .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (StoreErrorKind::Corrupted, "the store gives entries out of order")
    );
    assert!(seen.len() <= 2, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_synchronisation_that_fails_is_told_once_and_tried_again_every_second() {
    let mut bench = Bench::new(interval(100));
    assert_eq!(bench.ask([append(1)]).await, [written(1)]);
    bench.memory.fail_with(Some(full()));
    assert_eq!(bench.after(100).await, [Stored::NotRemoved(full())]);
    assert_eq!(bench.after(1000).await, [], "told once");
    bench.memory.fail_with(None);
    assert_eq!(bench.after(1000).await, [durable(1)]);
    bench.memory.crash();
    assert_eq!(bench.on_disk(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_may_keep_some_of_what_was_not_synchronised() {
    let mut bench = Bench::new(WriteOptions::default().durability(Durability::None));
    for id in 1..=3 {
        bench.ask([append(id)]).await;
    }
    assert_eq!(bench.memory.unsynced(), 3);
    bench.memory.crash_keeping(2);
    assert_eq!((bench.on_disk(), bench.memory.unsynced()), (vec![1, 2], 0));
}
