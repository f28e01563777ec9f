//! Which replica gets which request, and which replica dies before it.

use std::fmt;

use crate::random::Random;

/// The rule by which a fleet distributes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// One after the other, as the plainest balancer does. No replica dies.
    RoundRobin,
    /// The unkindest that the seed allows. No request goes to the replica that served the one before it, if
    /// there is another; replicas that have nothing to do are killed and replaced between requests and
    /// between rounds; and a request that may be repeated goes to all replicas, which must agree.
    Seeded(u64),
    /// All to one replica, counted from 0, modulo the number of replicas. No replica dies.
    Fixed(usize),
}

impl Schedule {
    /// What everything random about a fleet follows from.
    pub(crate) const fn seed(self) -> u64 {
        match self {
            Self::Seeded(seed) => seed,
            Self::RoundRobin | Self::Fixed(_) => 0,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundRobin => f.write_str("round robin"),
            Self::Seeded(seed) => write!(f, "seed {seed}"),
            Self::Fixed(replica) => write!(f, "always replica {replica}"),
        }
    }
}

/// A schedule under way.
#[derive(Debug)]
pub(crate) struct Plan {
    schedule: Schedule,
    random: Random,
    turn: usize,
    last: Option<usize>,
}

impl Plan {
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self { schedule, random: Random::derived(schedule.seed(), [u64::MAX, 0]), turn: 0, last: None }
    }

    /// The replica that dies before the next request, if one does. `idle` are the replicas that may die;
    /// `before` served the round before.
    pub(crate) fn victim(&mut self, idle: &[usize], before: Option<usize>) -> Option<usize> {
        match self.schedule {
            Schedule::RoundRobin | Schedule::Fixed(_) => None,
            // The replica that holds what a round left behind is the one to kill.
            Schedule::Seeded(_) if self.random.one_in(2) && before.is_some_and(|before| idle.contains(&before)) => {
                before
            }
            Schedule::Seeded(_) if self.random.one_in(4) => self.random.pick(idle),
            Schedule::Seeded(_) => None,
        }
    }

    /// The replica for the next request.
    pub(crate) fn replica(&mut self, replicas: usize, before: Option<usize>) -> usize {
        let chosen = match self.schedule {
            Schedule::RoundRobin => self.turn % replicas,
            Schedule::Fixed(replica) => replica % replicas,
            Schedule::Seeded(_) => self.unkind(replicas, before),
        };
        self.turn += 1;
        self.last = Some(chosen);
        chosen
    }

    /// The other replicas, in the order in which they are asked the same, if the schedule asks them.
    pub(crate) fn others(&mut self, replicas: usize, chosen: usize) -> Vec<usize> {
        match self.schedule {
            Schedule::RoundRobin | Schedule::Fixed(_) => Vec::new(),
            Schedule::Seeded(_) => {
                let mut others: Vec<_> = (0..replicas).filter(|replica| *replica != chosen).collect();
                self.random.shuffle(&mut others);
                others
            }
        }
    }

    /// Neither the replica of the round before nor that of the last request, as long as others are left.
    fn unkind(&mut self, replicas: usize, before: Option<usize>) -> usize {
        let avoid = |avoided: &[Option<usize>]| -> Vec<usize> {
            (0..replicas).filter(|replica| !avoided.contains(&Some(*replica))).collect()
        };
        let choices = [avoid(&[before, self.last]), avoid(&[before.or(self.last)]), avoid(&[])];
        choices.iter().find_map(|choice| self.random.pick(choice)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_robin_goes_round() {
        let mut plan = Plan::new(Schedule::RoundRobin);
        let turns: Vec<_> = (0..5).map(|_| plan.replica(3, None)).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1]);
        assert_eq!(plan.victim(&[0, 1, 2], Some(1)), None);
    }

    #[test]
    fn a_seed_never_gives_two_requests_in_a_row_to_one_replica() {
        for seed in 0..50 {
            let mut plan = Plan::new(Schedule::Seeded(seed));
            let turns: Vec<_> = (0..50).map(|_| plan.replica(2, None)).collect();
            assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
        }
    }

    #[test]
    fn a_seed_never_gives_a_round_to_the_replica_of_the_round_before() {
        for seed in 0..50 {
            let mut plan = Plan::new(Schedule::Seeded(seed));
            for before in [0, 1, 2, 0, 1, 2] {
                plan.replica(3, None);
                assert_ne!(plan.replica(3, Some(before)), before);
            }
        }
    }

    #[test]
    fn a_seed_kills_only_what_is_idle_and_kills_sometimes() {
        let mut plan = Plan::new(Schedule::Seeded(1));
        let dead: Vec<_> = (0..50).filter_map(|_| plan.victim(&[2], Some(0))).collect();
        assert!(!dead.is_empty() && dead.iter().all(|replica| *replica == 2), "{dead:?}");
    }

    #[test]
    fn a_single_replica_gets_everything() {
        let mut plan = Plan::new(Schedule::Seeded(1));
        assert_eq!((plan.replica(1, Some(0)), plan.others(1, 0)), (0, vec![]));
    }
}
