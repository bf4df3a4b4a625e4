//! What a replica knows of who claims what and what is live for whom: the product's own index, kept as what it was told.

use std::collections::BTreeMap;

use runtime_operator::domain::claims::{Claim, Claims, Published};

use crate::cast::{self, CAST, Crowd, Numbers, SLOTS, Slot, Who};
use crate::kept::{Kept, Memo};

/// A resource as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub who: Who,
    /// How often it was written to.
    pub version: u8,
    pub generation: u8,
    pub numbers: Numbers,
    pub deleting: bool,
    pub finalizer: bool,
    pub status: Option<Told>,
}

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    pub generation: u8,
    pub live: Numbers,
    pub ready: bool,
}

/// What the claims are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Index {
    pub seen: [Option<Object>; SLOTS],
    /// What is live by record: under which tenant id, and which numbers.
    pub live: BTreeMap<Who, (Slot, Numbers)>,
}

/// What an ownership record says beside what is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Print {
    pub generation: u8,
    pub numbers: Numbers,
}

thread_local! {
    static CHANGES: Memo<(Kept<Index>, Change), (Kept<Index>, Crowd)> = Memo::new();
    static ORPHANS: Memo<Kept<Index>, Crowd> = Memo::new();
    static ORDERS: Memo<(Kept<Index>, Who), Vec<Vec<Who>>> = Memo::new();
}

/// A change of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// What the watch shows of this one by now.
    Upsert(Who),
    Remove(Who),
    SetLive(Who, Option<(Slot, Numbers)>),
}

impl Index {
    /// The resource as the watch shows it.
    pub fn object(&self, who: Who) -> Option<&Object> {
        self.seen[cast::slot(who)].as_ref().filter(|object| object.who == who)
    }

    /// The product's own index.
    pub fn claims(&self) -> Claims {
        let mut claims = Claims::default();
        for (who, (slot, numbers)) in &self.live {
            claims.set_published(cast::uid(*who), Some(live(*slot, *numbers)));
        }
        for object in self.seen.iter().flatten().filter(|object| !object.deleting) {
            claims.upsert(object.claim());
        }
        claims
    }

    /// Takes a change in, `seen` being what the watch shows by now. Says who is concerned.
    pub fn alter(this: &mut Kept<Self>, seen: &Self, change: Change) -> Crowd {
        let (after, touched) = if matches!(change, Change::SetLive(..)) {
            let question = (this.clone(), change);
            CHANGES.with(|memo| memo.of(question, |(before, change)| Self::changed(before, before, *change)))
        } else {
            Self::changed(this, seen, change)
        };
        *this = after;
        touched
    }

    /// Those of whom there is a record, and who claim nothing.
    pub fn orphans(this: &Kept<Self>) -> Crowd {
        ORPHANS.with(|memo| {
            memo.of(this.clone(), |index| index.claims().orphans().map(|(uid, _)| cast::who(uid)).collect())
        })
    }

    /// In which order `who` and all who take something from it are published.
    pub fn order(this: &Kept<Self>, who: Who) -> Vec<Vec<Who>> {
        ORDERS.with(|memo| {
            memo.of((this.clone(), who), |(index, who)| {
                let order = index.claims().publish_order(cast::uid(*who));
                let group = |group: Vec<_>| {
                    let mut group: Vec<Who> = group.iter().map(cast::who).collect();
                    group.sort_unstable();
                    group
                };
                order.into_iter().map(group).collect()
            })
        })
    }

    /// Whether everyone who takes something from these is among them, or has passed.
    pub fn is_in_order(this: &Kept<Self>, members: &[Who], passed: Crowd) -> bool {
        let mut takers = members.iter().flat_map(|who| Self::order(this, *who)).flatten();
        takers.all(|taker| members.contains(&taker) || passed.contains(taker))
    }

    fn changed(before: &Self, seen: &Self, change: Change) -> (Kept<Self>, Crowd) {
        let mut claims = before.claims();
        let touched = match change {
            Change::Upsert(who) => match seen.object(who).filter(|object| !object.deleting) {
                Some(object) => claims.upsert(object.claim()),
                None => claims.remove(cast::uid(who)),
            },
            Change::Remove(who) => claims.remove(cast::uid(who)),
            Change::SetLive(who, to) => {
                claims.set_published(cast::uid(who), to.map(|(slot, numbers)| live(slot, numbers)))
            }
        };
        let everyone = 0..u8::try_from(CAST).unwrap();
        let live = everyone.filter_map(|who| Some((who, claims.published(cast::uid(who))?)));
        let live = live.map(|(who, live)| {
            (who, (cast::slot_of(live.tenant.as_str()).unwrap(), cast::numbers(&live.dids)))
        });
        let after = Self { seen: seen.seen.clone(), live: live.collect() };
        (Kept::new(after), touched.iter().map(cast::who).collect())
    }
}

fn live(slot: Slot, numbers: Numbers) -> Published {
    Published { tenant: cast::tenant(slot).clone(), dids: cast::dids(numbers) }
}

impl Object {
    fn claim(&self) -> Claim {
        cast::claim(self.who, self.numbers, self.told())
    }

    /// The numbers that its status lists.
    pub fn told(&self) -> Numbers {
        self.status.map_or(0, |status| status.live)
    }
}
