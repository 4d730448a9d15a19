//! A set does what the standard library's does, in every form, and takes little memory.

use std::collections::HashSet;

use super::*;

fn hasher() -> KeyHasher {
    KeyHasher::new(|| 11)
}

const fn limits(hasher: &KeyHasher) -> Limits<'_> {
    Limits { integers: 512, packed: 128, packed_member_bytes: 64, hasher }
}

fn random_member(random: &Random, kind: usize, range: usize) -> Vec<u8> {
    let number = random.below(range);
    match kind {
        0 => number.to_string().into_bytes(),
        1 => (number as i64 * 0x12_3456_7890 - 77).to_string().into_bytes(),
        2 => format!("member:{number}").into_bytes(),
        _ => vec![b'm'; number],
    }
}

fn compare(set: &Set, model: &HashSet<Vec<u8>>) {
    let members: Vec<Vec<u8>> = set.iter().map(|member| member.to_bytes().to_vec()).collect();
    assert_eq!((set.len(), members.len()), (model.len(), model.len()));
    assert_eq!(&members.into_iter().collect::<HashSet<_>>(), model);
    let (mut cursor, mut seen) = (0, 0);
    loop {
        cursor = set.scan(cursor, |_| seen += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, model.len());
}

#[test]
fn it_is_a_set_through_random_changes() {
    let hasher = hasher();
    for (kind, range) in [(0, 100), (0, 2_000), (1, 300), (2, 100), (2, 3_000), (3, 700)] {
        let random = Random::seeded(range as u64);
        let first = random_member(&random, kind, range);
        let mut set = Set::new(Text::new(&first), 1, limits(&hasher));
        let mut model = HashSet::new();
        for operation in 0..20_000 {
            let growing = (operation / 4_000) % 2 == 0;
            let member = random_member(&random, kind, range);
            let text = Text::new(&member);
            match random.below(4) {
                0 => assert_eq!(set.contains(text), model.contains(&member)),
                1 => {
                    let picked = set.pick(&random).map(|member| member.to_bytes().to_vec());
                    assert!(picked.map_or(model.is_empty(), |picked| model.contains(&picked)));
                }
                _ if growing => assert_eq!(set.add(text, limits(&hasher)), model.insert(member)),
                _ => assert_eq!(set.remove(text), model.remove(&member)),
            }
            if operation % 2_000 == 0 {
                compare(&set, &model);
                assert_eq!(set.clone(), set);
            }
        }
        compare(&set, &model);
    }
}

#[test]
fn what_stays_as_it_was_tells_its_members() {
    let (hasher, random) = (hasher(), Random::seeded(3));
    let (mut set, mut model) = (Set::Table(Box::new(Members::new(&hasher))), HashSet::new());
    let mut still: Option<(Set, HashSet<Vec<u8>>)> = None;
    for operation in 0..30_000 {
        let member = random_member(&random, 2 + random.below(2), 3_000);
        if (operation / 6_000) % 2 == 0 {
            set.add(Text::new(&member), limits(&hasher));
            model.insert(member);
        } else {
            set.remove(Text::new(&member));
            model.remove(&member);
        }
        if operation % 500 == 0 {
            if let Some((still, model)) = &still {
                let mut told = HashSet::new();
                still.visit(|member| assert!(told.insert(member.to_bytes().to_vec())));
                assert_eq!((still.len(), &told), (model.len(), model));
            }
            still = set.still().map(|still| (still, model.clone()));
        }
    }
}

#[test]
fn members_take_little_more_than_their_bytes() {
    let hasher = hasher();
    let bytes = |count: i64, member: &dyn Fn(i64) -> String| {
        let members: Vec<String> = (0..count).map(member).collect();
        let texts = members.iter().map(|member| Text::new(member.as_bytes()));
        let set = Set::collect(texts, limits(&hasher)).expect("it has members");
        (set.heap_bytes() + size_of::<Set>()) as f64 / count as f64
    };
    let text = |number: i64| format!("member:{number:09}");
    assert!(bytes(10, &|number| number.to_string()) <= 6.5);
    assert!(bytes(500, &|number| number.to_string()) <= 2.7);
    assert!(bytes(100, &text) <= 23.0);
    assert!(bytes(1_000, &text) <= 45.0, "{}", bytes(1_000, &text));
    assert!(bytes(200_000, &text) <= 36.0, "{}", bytes(200_000, &text));
}
