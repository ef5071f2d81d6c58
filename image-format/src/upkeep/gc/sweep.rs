//! One pass: move back what is needed, destroy what is due, throw away what is dead.

use std::time::Duration;

use super::amounts::{self, Amount, pack_length};
use super::rewrite::{Needed, Rewriter, Rewritten, is_copied, needed};
use super::seal::Seal;
use super::view::View;
use super::{GcError, GcOptions, GcReport, merge};
use crate::ids::{ImageId, PackId};
use crate::store::{Object, Run, Store, StoreError, Trashed};
use crate::upkeep::leases::Lease;

/// A pack of which less than so many percent would be kept is rewritten.
const WORTH: u64 = 60;
/// File times may be a little off.
const SLACK: Duration = Duration::from_secs(60);

/// One pass over one moment of a share.
pub(super) struct Sweep<'s> {
    store: &'s dyn Store,
    /// Under which what is thrown away is kept; none when only telling.
    run: Option<Run>,
    options: &'s GcOptions,
    view: View<'s>,
}

/// What is to be thrown away.
#[derive(Default)]
struct Plan {
    dead: Vec<PackId>,
    rewrite: Vec<PackId>,
    manifests: Vec<ImageId>,
}

impl<'s> Sweep<'s> {
    pub(super) fn new(
        store: &'s dyn Store,
        run: Option<Run>,
        options: &'s GcOptions,
    ) -> Result<Self, GcError> {
        let view = View::read(store, run.as_ref())?;
        Ok(Self {
            store,
            run,
            options,
            view,
        })
    }

    /// Tells what a run would do.
    pub(super) fn tell(&self, report: &mut GcReport) -> Result<(), GcError> {
        let plan = self.plan(report)?;
        for id in &plan.rewrite {
            let length = pack_length(self.store, id)?.unwrap_or(0);
            report.rewritten.add(length);
            report
                .written
                .add(self.view.kept.get(id).copied().unwrap_or(0));
        }
        for id in &plan.dead {
            report.dead.add(pack_length(self.store, id)?.unwrap_or(0));
        }
        for id in &plan.manifests {
            let bytes = amounts::there(self.store.read_manifest(id))?;
            report
                .manifests
                .add(bytes.map_or(0, |bytes| bytes.len() as u64));
        }
        report.destroyed = amounts::of_trash(self.store, self.due())?;
        report.waiting = amounts::of_trash(self.store, self.view.trash.iter())?;
        let needed = self
            .view
            .trash
            .iter()
            .filter(|what| !self.view.is_dead(&what.object));
        report.restored = amounts::of_trash(self.store, needed)?;
        Ok(())
    }

    /// The whole pass.
    pub(super) fn run(
        &mut self,
        lease: &mut Lease<&'s dyn Store>,
        report: &mut GcReport,
    ) -> Result<(), GcError> {
        self.destroy(report)?;
        if report.restored.count > 0 {
            // What is there again counts like all the rest.
            self.view = View::read(self.store, self.run.as_ref())?;
        }
        let plan = self.plan(report)?;
        let rewritten = self.rewrite(&plan, lease, report)?;
        self.throw_away(&plan, &rewritten, lease, report)?;
        report.merged = merge::merge(self.store, self.view.share.index(), self.options)?;
        Ok(())
    }

    /// Moves back what images need, then destroys what is due.
    pub(super) fn destroy(&self, report: &mut GcReport) -> Result<(), GcError> {
        self.move_back(report)?;
        if self.due().next().is_some() {
            self.store.confirm()?;
        }
        for what in self.due() {
            let length = amounts::there(self.store.trash_length(what))?;
            if self.store.destroy(what)? {
                report.destroyed.add(length.unwrap_or(0));
            }
        }
        Ok(self.store.settle()?)
    }

    /// What is dead, sealed, past its grace, and outlived all who could need it.
    fn due(&self) -> impl Iterator<Item = &Trashed> {
        let (view, grace) = (&self.view, self.options.grace);
        let now = self.store.now();
        view.trash.iter().filter(move |what| {
            let seal = view.seals.get(&what.run);
            seal.is_some_and(|seal| seal.is_over(now, grace, &view.leases))
                && view.is_dead(&what.object)
        })
    }

    fn move_back(&self, report: &mut GcReport) -> Result<(), GcError> {
        let packs = self.view.in_trash.iter().map(|id| Object::Pack(*id));
        let at_home = |id: &&ImageId| self.view.manifests.binary_search(id).is_ok();
        let manifests = self.view.images.iter().filter(|id| !at_home(id));
        for object in packs.chain(manifests.map(|id| Object::Manifest(*id))) {
            self.move_one_back(&object, report)?;
        }
        Ok(())
    }

    fn move_one_back(&self, object: &Object, report: &mut GcReport) -> Result<(), GcError> {
        if self.is_damaged(object)? {
            // Among the packs, captures would count on it. It is read where it is.
            return Ok(());
        }
        let copies = self.store.list_trash()?;
        for copy in copies.iter().filter(|copy| copy.object == *object) {
            let length = amounts::there(self.store.trash_length(copy))?;
            if self.store.restore(copy)? {
                report.restored.add(length.unwrap_or(0));
                return Ok(());
            }
        }
        // Somebody else moved it back, or the image that needed it is gone.
        let there = match object {
            Object::Pack(id) => pack_length(self.store, id)?.is_some(),
            Object::Manifest(id) => amounts::there(self.store.read_manifest(id))?.is_some(),
        };
        match there {
            true => Ok(()),
            false => Err(GcError::Changed),
        }
    }

    /// Whether it is a pack in the trash that rotted: a repair put it there.
    fn is_damaged(&self, object: &Object) -> Result<bool, StoreError> {
        let Object::Pack(id) = object else {
            return Ok(false);
        };
        let bytes = amounts::there(self.store.read_pack(id))?;
        Ok(bytes.is_some_and(|bytes| PackId::of(&bytes) != *id))
    }

    fn plan(&self, report: &mut GcReport) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        report.images = self.view.images.len() as u64;
        report.leases = self
            .view
            .leases
            .values()
            .map(|lease| lease.words.clone())
            .collect();
        let writers = self.view.leases.values().filter(|lease| lease.writes);
        let spared_from = writers.map(|lease| lease.began).min();
        for id in &self.view.packs {
            let Some(facts) = amounts::there(self.store.pack_facts(id))? else {
                continue;
            };
            report.packs.add(facts.length);
            let is_new = facts
                .written
                .zip(spared_from)
                .is_some_and(|(written, from)| written.saturating_add(SLACK.as_secs()) >= from);
            match self.view.kept.get(id) {
                // Room is all that moving it to the trash and back would cost.
                None if is_new => report.spared.add(facts.length),
                None => plan.dead.push(*id),
                Some(kept) if kept * 100 < facts.length * WORTH => plan.rewrite.push(*id),
                Some(_) => {}
            }
        }
        let needed = needed(&self.view, &plan.rewrite);
        plan.rewrite.retain(|id| self.loses_something(id, &needed));
        let needed = |id: &&ImageId| !self.view.images.contains(id);
        plan.manifests = self.view.manifests.iter().filter(needed).copied().collect();
        report.nameless.clone_from(&plan.manifests);
        Ok(plan)
    }

    /// Whether rewriting leaves anything out. A pack of which every block would be
    /// copied is small for its tables, and would become the same pack again.
    fn loses_something(&self, pack: &PackId, needed: &Needed) -> bool {
        let segments = self.view.share.index().segments().iter();
        let mut blocks = segments.flat_map(|segment| segment.blocks_of(pack));
        blocks.any(|place| {
            let live = needed.get(&(*pack, place.offset));
            live.is_none_or(|live| !is_copied(live, &place))
        })
    }

    fn rewrite(
        &self,
        plan: &Plan,
        lease: &mut Lease<&'s dyn Store>,
        report: &mut GcReport,
    ) -> Result<Rewritten, GcError> {
        let mut rewriter = Rewriter::new(self.store, &self.view, self.options, &plan.rewrite);
        for id in &plan.rewrite {
            lease.beat()?;
            rewriter.pack(id)?;
        }
        let rewritten = rewriter.finish()?;
        report.written = rewritten.written;
        report.damaged = rewritten.damaged;
        Ok(rewritten)
    }

    /// What is needed of rewritten packs is durable and indexed elsewhere by now.
    fn throw_away(
        &self,
        plan: &Plan,
        rewritten: &Rewritten,
        lease: &mut Lease<&'s dyn Store>,
        report: &mut GcReport,
    ) -> Result<(), GcError> {
        let Some(run) = self.run else { return Ok(()) };
        let packs = |ids: &[PackId]| ids.iter().map(|id| Object::Pack(*id)).collect::<Vec<_>>();
        let manifests = plan.manifests.iter().map(|id| Object::Manifest(*id));
        let mut any = self.adopt(run)?;
        any |= self.condemn(run, &packs(&plan.dead), &mut report.dead)?;
        any |= self.condemn(run, &packs(&rewritten.packs), &mut report.rewritten)?;
        any |= self.condemn(run, &manifests.collect::<Vec<_>>(), &mut report.manifests)?;
        // First all of it is durably in the trash, then the leases are looked at.
        self.store.settle()?;
        let seal = Seal::make(self.store, &lease.id())?;
        if any || seal.is_news(&self.view.seals) {
            self.store.put_seal(&run, &seal.encode())?;
        }
        Ok(())
    }

    fn condemn(&self, run: Run, objects: &[Object], amount: &mut Amount) -> Result<bool, GcError> {
        let mut any = false;
        for object in objects {
            let what = Trashed {
                run,
                object: *object,
            };
            if self.store.condemn(&what)? {
                any = true;
                amount.add(amounts::there(self.store.trash_length(&what))?.unwrap_or(0));
            }
        }
        Ok(any)
    }

    /// What a run that never ended threw away is taken over by this one.
    fn adopt(&self, run: Run) -> Result<bool, GcError> {
        let left = self.view.trash.iter().filter(|what| {
            !self.view.seals.contains_key(&what.run)
                && what.run != run
                && !self.view.is_at_work(&what.run)
        });
        let mut any = false;
        for what in left {
            let ours = Trashed {
                run,
                object: what.object,
            };
            any |= self.store.adopt(what, &ours)?;
        }
        Ok(any)
    }
}
