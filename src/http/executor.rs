//! The futures of one connection, run by whoever has bytes for them.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Takes futures from wherever one of them is run.
#[derive(Clone, Default)]
pub(super) struct Spawner(Rc<RefCell<Vec<Boxed>>>);

impl Spawner {
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(future));
    }
}

impl<F: Future + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, future: F) {
        self.spawn(async move {
            future.await;
        });
    }
}

/// Whether a future has a reason to be polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Boxed,
    flag: Arc<Flag>,
    waker: Waker,
}

/// Runs futures until none of them can go on. Never waits.
#[derive(Default)]
pub(super) struct Executor {
    spawner: Spawner,
    tasks: Vec<Task>,
}

impl Executor {
    pub(super) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Polls whatever was woken, until nothing is any more.
    pub(super) fn run(&mut self) {
        loop {
            let fresh = std::mem::take(&mut *self.spawner.0.borrow_mut());
            self.tasks.extend(fresh.into_iter().map(|future| {
                let flag = Arc::new(Flag(AtomicBool::new(true)));
                Task { future, waker: Waker::from(Arc::clone(&flag)), flag }
            }));
            let mut polled = false;
            self.tasks.retain_mut(|task| {
                if !task.flag.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                polled = true;
                let mut context = Context::from_waker(&task.waker);
                task.future.as_mut().poll(&mut context).is_pending()
            });
            if !polled {
                return;
            }
        }
    }
}
