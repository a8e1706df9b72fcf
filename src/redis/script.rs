//! Taking from a count, in one step on Redis.

use std::{num::NonZeroU32, sync::LazyLock, time::Duration};

use redis::{Script, ScriptInvocation};

use crate::{
    clock::UnixTime,
    rate::{Quota, Verdict, gcra},
};

/// GCRA as in `rate::gcra`, by the server's clock; gives how far the bucket was from full.
///
/// Numbers in Lua are exact up to 2^53, so what is counted is how far from full a bucket is, never
/// nanoseconds since 1970. The key holds when it is full again: microseconds, and nanoseconds
/// beyond.
///
/// `KEYS[1]`: the bucket. `ARGV`: what it holds, what is taken, what was found missing while Redis
/// was away, and how many of these units are a microsecond (1000 or 1).
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));
const TEXT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window, price = tonumber(ARGV[1]), tonumber(ARGV[2])
local debt, per = tonumber(ARGV[3]), tonumber(ARGV[4])
local keep = debt > 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local micros, nanos = string.match(kept, '^(%d+):(%d+)$')
  if micros then
    debt = math.max(debt, (micros - now) * per + math.ceil(nanos * per / 1000))
  end
end
if debt > window then
  debt, keep = window, true
end
local owed = debt
if price <= window and debt + price <= window then
  owed, keep = debt + price, true
end
if keep and owed > 0 then
  local nanos = owed % per
  local micros = now + (owed - nanos) / per
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f', micros, nanos),
    'PX', string.format('%.0f', math.ceil(owed / per / 1000)))
end
return debt";

/// The largest whole number that Lua counts to exactly.
const EXACT: u64 = 1 << 53;

fn in_units(time: Duration, unit: u64) -> u64 {
    u64::try_from(time.as_nanos() / u128::from(unit)).unwrap_or(u64::MAX)
}

/// A quota whose window the script counts exactly.
pub(super) struct Countable {
    pub(super) quota: Quota,
    /// In nanoseconds: 1 or 1000.
    unit: u64,
}

impl Countable {
    /// `None`: one unit takes longer than can be counted.
    pub(super) fn of(quota: &Quota) -> Option<Self> {
        let (nanos, burst) = (quota.interval().as_nanos(), quota.burst().get().into());
        if nanos.saturating_mul(burst) <= EXACT.into() {
            return Some(Self {
                quota: *quota,
                unit: 1,
            });
        }
        let micros = nanos.div_ceil(1000);
        let burst = u32::try_from((u128::from(EXACT) / micros).min(burst)).ok()?;
        let interval = Duration::from_micros(u64::try_from(micros).ok()?);
        Some(Self {
            quota: Quota::new(NonZeroU32::new(burst)?, interval),
            unit: 1000,
        })
    }

    pub(super) fn call<'s>(
        &self,
        script: &'s Script,
        key: String,
        cost: u32,
        missing: Duration,
    ) -> ScriptInvocation<'s> {
        let interval = in_units(self.quota.interval(), self.unit);
        let window = interval.saturating_mul(self.quota.burst().get().into());
        // More than the window is more than the window.
        let price = interval.saturating_mul(cost.into()).min(window + 1);
        let missing = in_units(missing, self.unit).min(window);
        let mut call = script.key(key);
        call.arg(window)
            .arg(price)
            .arg(missing)
            .arg(1000 / self.unit);
        call
    }

    /// What the script decided, and in how long the bucket is whole again: the same algorithm, at
    /// an instant of its own.
    pub(super) fn verdict(&self, debt: u64, cost: u32) -> (Verdict, Duration) {
        let debt = UnixTime::from_nanos(debt.saturating_mul(self.unit));
        let (verdict, whole) = gcra::take(debt, &self.quota, cost, UnixTime::EPOCH);
        (verdict, whole.saturating_since(UnixTime::EPOCH))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        net::TcpListener,
        process::{Child, Command, Stdio},
        thread,
    };

    use proptest::prelude::*;
    use redis::{Client, Connection};

    use super::*;

    /// A server without files, ended with the test.
    struct Server(Child);

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn server() -> (Server, RefCell<Connection>) {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port().to_string()
        };
        let process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .stdout(Stdio::null())
            .spawn();
        let server = Server(process.unwrap());
        let client = Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        for _ in 0..1000 {
            if let Ok(connection) = client.get_connection() {
                return (server, RefCell::new(connection));
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server is not up");
    }

    /// The script with the time as an argument; what it keeps stays a minute longer, because that
    /// time is not the server's.
    fn at_a_time() -> Script {
        let time = "redis.call('TIME')";
        let expiry = "math.ceil(owed / per / 1000)";
        assert!(TEXT.contains(time) && TEXT.contains(expiry));
        let text = TEXT.replace(time, "{ARGV[5], ARGV[6]}");
        Script::new(&text.replace(expiry, &format!("{expiry} + 60000")))
    }

    struct Bucket<'a> {
        script: Script,
        connection: &'a RefCell<Connection>,
        key: String,
        quota: Quota,
    }

    impl Bucket<'_> {
        fn take(&mut self, cost: u32, missing: Duration, micros: u64) -> Verdict {
            let countable = Countable::of(&self.quota).unwrap();
            let mut call = countable.call(&self.script, self.key.clone(), cost, missing);
            call.arg(micros / 1_000_000).arg(micros % 1_000_000);
            let debt = call.invoke(&mut *self.connection.borrow_mut()).unwrap();
            countable.verdict(debt, cost).0
        }
    }

    fn quota(burst: u32, interval: Duration) -> Quota {
        Quota::new(NonZeroU32::new(burst).unwrap(), interval)
    }

    #[test]
    fn the_verdicts_are_those_of_the_algorithm() {
        let (_server, connection) = server();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(300)
        });
        let intervals = prop_oneof![1u64..3_000, 1u64..3_000_000_000, 1u64..400_000_000_000_000];
        let steps = prop_oneof![
            -2_000i64..2_000,
            -3_000_000i64..3_000_000,
            0i64..4_000_000_000
        ];
        let takes = proptest::collection::vec((steps, 1u32..25), 1..40);
        let cases = (1u32..20, intervals, takes);
        let number = Cell::new(0);
        let outcome = runner.run(&cases, |(burst, interval, takes)| {
            number.set(number.get() + 1);
            let mut bucket = Bucket {
                script: at_a_time(),
                connection: &connection,
                key: format!("bucket-{}", number.get()),
                quota: quota(burst, Duration::from_nanos(interval)),
            };
            let (mut tat, mut micros) = (UnixTime::EPOCH, 1_700_000_000_000_000_u64);
            for (step, cost) in takes {
                micros = micros.saturating_add_signed(step);
                let now = UnixTime::from_nanos(micros * 1000);
                let (verdict, kept) = gcra::take(tat, &bucket.quota, cost, now);
                tat = kept;
                prop_assert_eq!(bucket.take(cost, Duration::ZERO, micros), verdict);
            }
            Ok(())
        });
        outcome.unwrap();
    }

    #[test]
    fn long_quotas_never_give_more() {
        let (_server, connection) = server();
        let bucket = |burst, interval| {
            let key = format!("{burst} {interval:?}");
            Bucket {
                script: at_a_time(),
                connection: &connection,
                key,
                quota: quota(burst, interval),
            }
        };
        let micros = 1_700_000_000_000_000;
        let year = Duration::from_secs(365 * 86_400);
        let no = Duration::ZERO;
        // Counted in microseconds, each unit rounded up.
        let mut decades = bucket(3, year + Duration::from_nanos(1));
        assert_eq!(decades.take(2, no, micros), Verdict::allowed(1));
        assert_eq!(
            decades.take(2, no, micros),
            Verdict::limited(year + Duration::from_micros(1))
        );
        // Cut to 285 years.
        let mut millennia = bucket(u32::MAX, year);
        assert_eq!(millennia.take(285, no, micros), Verdict::allowed(0));
        assert!(matches!(
            millennia.take(1, no, micros),
            Verdict::Limited { .. }
        ));
        assert!(Countable::of(&quota(1, year * 286)).is_none());
        assert!(Countable::of(&quota(u32::MAX, Duration::MAX)).is_none());
        // The smallest interval, the largest burst.
        let mut fast = bucket(u32::MAX, Duration::from_nanos(1));
        assert_eq!(fast.take(u32::MAX, no, micros), Verdict::allowed(0));
    }

    #[test]
    fn what_redis_did_not_see_is_told_to_it() {
        let (_server, connection) = server();
        let mut bucket = Bucket {
            script: at_a_time(),
            connection: &connection,
            key: "bucket".to_owned(),
            quota: quota(5, Duration::from_secs(1)),
        };
        let micros = 1_700_000_000_000_000;
        let secs = Duration::from_secs;
        assert_eq!(bucket.take(1, secs(3), micros), Verdict::allowed(1));
        // The larger one counts, not both.
        assert_eq!(bucket.take(1, secs(2), micros), Verdict::allowed(0));
        // A refusal keeps it too.
        let later = micros + 4_000_000;
        assert_eq!(bucket.take(1, secs(9), later), Verdict::limited(secs(1)));
        assert_eq!(bucket.take(1, secs(0), later), Verdict::limited(secs(1)));
    }
}
