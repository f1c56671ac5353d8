//! Leaves steps out of a plan that fails, while it goes on failing.

use crate::plan::Plan;
use crate::world::run;

/// The fewest steps found that still fail, by their numbers in the plan.
#[must_use]
pub fn shrink(plan: &Plan) -> Vec<usize> {
    let fails =
        |numbers: &[usize]| run(&plan.clone().only(numbers)).is_ok_and(|report| !report.faults.is_empty());
    let mut kept: Vec<usize> = (0..plan.steps.len()).collect();
    let mut chunk = kept.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < kept.len() {
            let without: Vec<usize> = kept
                .iter()
                .enumerate()
                .filter(|(n, _)| !(at..at + chunk).contains(n))
                .map(|(_, k)| *k)
                .collect();
            if fails(&without) {
                kept = without;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    kept
}
