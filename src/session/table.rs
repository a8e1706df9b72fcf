//! The sessions of one instance, and who must give way when there are too many.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    clock::UnixTime,
    session::{IDLE, SessionHash, SessionOwner},
};

/// A use is noted once in so long: a note is a write to memory that all threads read.
const NOTED: Duration = Duration::from_secs(1);
/// A full table is searched for sessions that have ended once in so long.
const SEARCHED: Duration = Duration::from_secs(60);
/// How many sessions are moved back for having been used, before one goes all the same.
const SPARED: usize = 64;

struct Session {
    owner: SessionOwner,
    /// When it was last used, in nanoseconds.
    used: AtomicU64,
    /// Where it stands among those of its owner: when it had last been used when it was put there.
    place: UnixTime,
}

impl Session {
    fn used(&self) -> UnixTime {
        UnixTime::from_nanos(self.used.load(Ordering::Relaxed))
    }

    fn has_ended(&self, now: UnixTime) -> bool {
        now.saturating_since(self.used()) > IDLE
    }
}

pub(super) struct Table {
    capacity: usize,
    sessions: HashMap<SessionHash, Session>,
    /// The sessions of each owner, roughly the least recently used first.
    places: BTreeSet<(SessionOwner, UnixTime, SessionHash)>,
    counts: HashMap<SessionOwner, usize>,
    /// The owners by how many sessions they hold.
    ranks: BTreeSet<(usize, SessionOwner)>,
    searched: UnixTime,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            sessions: HashMap::new(),
            places: BTreeSet::new(),
            counts: HashMap::new(),
            ranks: BTreeSet::new(),
            searched: UnixTime::EPOCH,
        }
    }

    pub(super) fn owner(&self, session: SessionHash, now: UnixTime) -> Option<SessionOwner> {
        let session = self.sessions.get(&session)?;
        if session.has_ended(now) {
            return None;
        }
        if now.saturating_since(session.used()) >= NOTED {
            session.used.fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
        Some(session.owner)
    }

    pub(super) fn bind(
        &mut self,
        session: SessionHash,
        owner: SessionOwner,
        now: UnixTime,
    ) -> SessionOwner {
        if let Some(other) = self.owner(session, now) {
            return other;
        }
        self.remove(session);
        self.insert(session, owner, now);
        if self.sessions.len() > self.capacity {
            self.make_room(session, now);
        }
        owner
    }

    fn insert(&mut self, session: SessionHash, owner: SessionOwner, now: UnixTime) {
        let bound = Session {
            owner,
            used: AtomicU64::new(now.as_nanos()),
            place: now,
        };
        self.sessions.insert(session, bound);
        self.places.insert((owner, now, session));
        let count = self.counts.entry(owner).or_default();
        self.ranks.remove(&(*count, owner));
        *count += 1;
        self.ranks.insert((*count, owner));
    }

    pub(super) fn remove(&mut self, session: SessionHash) -> Option<SessionOwner> {
        let Session { owner, place, .. } = self.sessions.remove(&session)?;
        self.places.remove(&(owner, place, session));
        if let Some(count) = self.counts.get_mut(&owner) {
            self.ranks.remove(&(*count, owner));
            *count = count.saturating_sub(1);
            if *count > 0 {
                self.ranks.insert((*count, owner));
            } else {
                self.counts.remove(&owner);
            }
        }
        Some(owner)
    }

    /// Who holds the most gives way.
    fn make_room(&mut self, keep: SessionHash, now: UnixTime) {
        if now.saturating_since(self.searched) >= SEARCHED {
            self.searched = now;
            let all = self.sessions.iter();
            let ended = all.filter(|(_, session)| session.has_ended(now));
            let ended: Vec<_> = ended.map(|(&hash, _)| hash).collect();
            for session in ended {
                self.remove(session);
            }
        }
        while self.sessions.len() > self.capacity {
            // The second in rank, where the first holds nothing but what was just bound.
            let owners: Vec<_> = self.ranks.iter().rev().take(2).map(|&(_, it)| it).collect();
            let leaves = |owner| self.least_recently_used(owner, keep);
            let Some(session) = owners.into_iter().find_map(leaves) else {
                return;
            };
            self.remove(session);
        }
    }

    /// The least recently used session of an owner, `keep` aside. Uses are noted where a session
    /// lives; its place follows here.
    fn least_recently_used(
        &mut self,
        owner: SessionOwner,
        keep: SessionHash,
    ) -> Option<SessionHash> {
        for spared in 0..=SPARED {
            let from = (owner, UnixTime::EPOCH, SessionHash::LEAST);
            let own = self.places.range(from..);
            let mut own = own.take_while(|(it, ..)| *it == owner);
            let &(_, place, hash) = own.find(|(.., hash)| *hash != keep)?;
            let session = self.sessions.get_mut(&hash)?;
            let used = session.used();
            if used == place || spared == SPARED {
                return Some(hash);
            }
            session.place = used;
            self.places.remove(&(owner, place, hash));
            self.places.insert((owner, used, hash));
        }
        None
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let counted: usize = self.counts.values().sum();
        assert_eq!(counted, self.sessions.len());
        assert_eq!(self.places.len(), self.sessions.len());
        assert_eq!(self.ranks.len(), self.counts.len());
        self.sessions.len()
    }
}
