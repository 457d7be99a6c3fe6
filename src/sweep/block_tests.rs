use super::*;

#[test]
fn a_later_pass_draws_the_silent_ones_only() {
    let mut block = Block::new(0, 1000, 40, Vec::new());
    let at = Instant::from_nanos;
    block.begin(at(1));
    let mut drawn = Vec::new();
    assert_eq!(block.draw(100, at(2), &mut |a, b| drawn.push((a, b))), 40);
    assert_eq!(drawn, [(1000, 1040)]);
    for offset in (0..40).filter(|offset| ![3, 16, 39].contains(offset)) {
        let heard = block.hear(offset, Mark::Open, at(3), None);
        assert_eq!(heard, Entry::First { pass: 1, once: true });
    }
    block.begin(at(4));
    drawn.clear();
    assert_eq!(block.draw(2, at(5), &mut |a, b| drawn.push((a, b))), 2);
    assert!(!block.is_drawn());
    // Not yet drawn again: still an answer to the first SYN.
    let heard = block.hear(39, Mark::Refused, at(6), None);
    assert_eq!(heard, Entry::First { pass: 1, once: true });
    let heard = block.hear(16, Mark::Open, at(6), None);
    assert_eq!(heard, Entry::First { pass: 2, once: false });
    // The echo says which SYN it was.
    let heard = block.hear(3, Mark::Open, at(6), Some(at(2)));
    assert_eq!(heard, Entry::First { pass: 1, once: false });
    assert_eq!(block.draw(2, at(7), &mut |a, b| drawn.push((a, b))), 0);
    assert_eq!(drawn, [(1003, 1004), (1016, 1017)]);
    assert!(block.is_drawn() && !block.has_silent());
}

#[test]
fn a_mended_pass_draws_the_silent_ones_of_what_is_torn_and_no_others() {
    let mut block = Block::new(0, 0, 100, Vec::new());
    let at = Instant::from_nanos;
    let draw = |block: &mut Block| {
        let mut drawn = Vec::new();
        block.draw(1000, at(2), &mut |from, to| drawn.extend(from..to));
        drawn
    };
    block.begin(at(1));
    assert_eq!(draw(&mut block).len(), 100);
    for (first, last) in [(70, 75), (14, 18), (19, 20), (99, 120)] {
        block.tear(first, last);
    }
    for offset in [15, 16, 70, 73, 75] {
        block.hear(offset, Mark::Open, at(3), None);
    }
    assert!(block.turn_to_mending());
    block.begin(at(4));
    assert!(block.is_mending());
    assert_eq!(draw(&mut block), [14, 17, 18, 19, 20, 71, 72, 74, 99]);
    assert!(block.is_drawn());
    // Which of two SYNs was answered nobody knows.
    let heard = block.hear(71, Mark::Open, at(5), None);
    assert_eq!(heard, Entry::First { pass: 1, once: false });
    // What was torn is mended, and the next pass is whole again.
    assert!(!block.turn_to_mending());
    block.begin(at(6));
    assert_eq!((draw(&mut block).len(), block.pass), (94, 2));
}

#[test]
fn mending_comes_to_an_end_and_remembers_little() {
    let mut block = Block::new(0, 0, 1000, Vec::new());
    let at = Instant::from_nanos;
    block.begin(at(1));
    for round in 0.. {
        block.draw(1000, at(2), &mut |_, _| {});
        for first in (0..1000).step_by(3) {
            block.tear(first, first);
            assert!(block.torn.len() <= MAX_TORN);
        }
        if !block.turn_to_mending() {
            assert_eq!(round, MAX_MENDS);
            break;
        }
        block.begin(at(3));
    }
}
