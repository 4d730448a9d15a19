//! `SORT` and `SORT_RO`: the elements of a list or set in an order, which other keys may decide on, and
//! what other keys hold for them.

use bytes::Bytes;

use super::args::Word;
use super::keys::remove;
use super::list::Limit;
use super::metadata::{KeySpec, categories, flags};
use super::string::write_text;
use super::{Args, Command, CommandFlags, Locks};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::{Entry, Txn};
use crate::resp::Reply;
use crate::value::list::{End, List};
use crate::value::order::{Extent, Order, up_to_zero, weight};
use crate::value::set::Set;
use crate::value::string::LONGEST_INTEGER;
use crate::value::{Text, Value, ValueRef};

pub(super) const COMMANDS: &[&Command] = &[&SORT, &SORT_RO];

const SORT: Command = Command {
    name: "sort",
    arity: -2,
    flags: flags("write denyoom movablekeys"),
    categories: categories("set sortedset list dangerous"),
    keys: &[
        KeySpec::at(1, "RO access"),
        KeySpec::unknown("RO access"),
        KeySpec::found_by(destination, "OW update"),
    ],
    locks: Locks::All,
    complexity: "O(N+M*log(M)) for N elements of which M are wanted; O(N) where they are not sorted",
    usage: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]",
    summary: "Gets or stores the elements of a list or set in an order.",
    run: sort,
    ..Command::BASE
};

const SORT_RO: Command = Command {
    name: "sort_ro",
    arity: -2,
    flags: flags("readonly movablekeys"),
    categories: categories("set sortedset list dangerous"),
    keys: &[KeySpec::at(1, "RO access"), KeySpec::unknown("RO access")],
    locks: Locks::All,
    since: "7.0.0",
    complexity: "O(N+M*log(M)) for N elements of which M are wanted; O(N) where they are not sorted",
    usage: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
    summary: "Gets the elements of a list or set in an order.",
    run: sort,
    ..Command::BASE
};

fn sort(call: &mut Call<'_>) -> Result<(), Error> {
    let request = Request::parse(call)?;
    if request.gets.is_empty() && request.destination.is_none() {
        return with_chosen(call, &request, write_elements);
    }
    let chosen = with_chosen(call, &request, |_, chosen| list_of(chosen.iter().copied()))?;
    match request.destination {
        Some(destination) => store(call, &request, destination, chosen),
        None => write_values(call, &request.gets, &chosen),
    }
    Ok(())
}

/// Where the key behind the last STORE is. Like Redis, it does not skip that key to find the next
/// option, though none can have its place.
fn destination(args: Args<'_>) -> Option<usize> {
    let (mut found, mut index) = (None, 2);
    while index < args.len() {
        match &*Word::new(args.at(index)) {
            b"BY" | b"GET" => index += 1,
            b"LIMIT" => index += 2,
            b"STORE" if index + 1 < args.len() => found = Some(index + 1),
            _ => {}
        }
        index += 1;
    }
    found
}

struct Request<'a> {
    by: By<'a>,
    gets: Vec<Get<'a>>,
    /// Negative means from the first element on.
    offset: i64,
    /// Negative means up to the last element.
    count: i64,
    is_descending: bool,
    is_alphabetic: bool,
    destination: Option<&'a [u8]>,
    is_in_script: bool,
}

/// What decides on the place of an element.
enum By<'a> {
    Element,
    Value(Pattern<'a>),
    /// The elements stay as they are.
    Nothing,
}

/// What is wanted of an element.
enum Get<'a> {
    Element,
    Value(Pattern<'a>),
    /// Nothing is found, because the pattern has no place for the element.
    Nothing,
}

/// The name of a key with a place for an element.
struct Pattern<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// Whether it is a field of a hash that is asked for.
    names_field: bool,
}

impl<'a> Request<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, Error> {
        let may_store = call.row.command.flags.contains(CommandFlags::WRITE);
        let mut parsed = Request {
            by: By::Element,
            gets: Vec::new(),
            offset: 0,
            count: -1,
            is_descending: false,
            is_alphabetic: false,
            destination: None,
            is_in_script: call.is_in_script,
        };
        let mut options = call.args.options(2);
        while let Some(word) = options.word() {
            match &*word {
                b"ASC" => parsed.is_descending = false,
                b"DESC" => parsed.is_descending = true,
                b"ALPHA" => parsed.is_alphabetic = true,
                b"LIMIT" if options.remaining() >= 2 => {
                    (parsed.offset, parsed.count) = (options.integer()?, options.integer()?);
                }
                b"BY" => parsed.by = parsed.by.and(options.value()?),
                b"GET" => parsed.gets.push(Get::new(options.value()?)),
                b"STORE" if may_store => parsed.destination = Some(options.value()?),
                _ => return Err(Error::Syntax),
            }
        }
        Ok(parsed)
    }

    fn order(&self, length: usize) -> Order {
        // Only negative numbers are no sizes.
        let start = usize::try_from(self.offset).unwrap_or(0).min(length);
        let count = usize::try_from(self.count).unwrap_or(length);
        let part = start..start.saturating_add(count).min(length);
        Order { is_descending: self.is_descending, part }
    }

    /// Whether the same elements have to come in the same order every time.
    const fn is_repeatable(&self) -> bool {
        self.destination.is_some() || self.is_in_script
    }

    /// How much of texts is compared: what is stored must not depend on a locale, for which Redis
    /// hands texts to C.
    fn extent(&self) -> Extent {
        if self.destination.is_some() { Extent::Whole } else { Extent::UpToZero }
    }
}

impl<'a> By<'a> {
    /// What it is once another BY has been read: the last one counts, but nothing is sorted any
    /// more after one without a star.
    fn and(&self, pattern: &'a [u8]) -> Self {
        match (self, Pattern::parse(pattern)) {
            (By::Nothing, _) | (_, None) => By::Nothing,
            (_, Some(pattern)) => By::Value(pattern),
        }
    }
}

impl<'a> Get<'a> {
    fn new(pattern: &'a [u8]) -> Self {
        match Pattern::parse(pattern) {
            _ if pattern == b"#" => Get::Element,
            Some(pattern) => Get::Value(pattern),
            None => Get::Nothing,
        }
    }
}

impl<'a> Pattern<'a> {
    /// Nothing if it has no star before its first zero byte. An arrow behind the star separates
    /// the key from a field, unless nothing follows it.
    fn parse(pattern: &'a [u8]) -> Option<Self> {
        const ARROW: &[u8] = b"->";
        let readable = up_to_zero(pattern);
        let star = readable.iter().position(|&byte| byte == b'*')?;
        let (before, after) = (&pattern[..star], &pattern[star + 1..]);
        let readable = &readable[star + 1..];
        let arrow = readable.windows(ARROW.len()).position(|bytes| bytes == ARROW);
        let arrow = arrow.filter(|arrow| arrow + ARROW.len() < readable.len());
        let after = arrow.map_or(after, |arrow| &after[..arrow]);
        Some(Pattern { before, after, names_field: arrow.is_some() })
    }
}

/// What is sorted.
#[derive(Clone, Copy)]
enum Source<'t> {
    Nothing,
    List(&'t List),
    Set(&'t Set),
}

impl<'t> Source<'t> {
    fn of(entry: Option<Entry<'t>>) -> Result<Self, Error> {
        match entry.map(Entry::value) {
            None => Ok(Source::Nothing),
            Some(ValueRef::List(list)) => Ok(Source::List(list)),
            Some(ValueRef::Set(set)) => Ok(Source::Set(set)),
            Some(ValueRef::String(_) | ValueRef::Stream(_)) => Err(Error::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Source::Nothing => 0,
            Source::List(list) => list.len(),
            Source::Set(set) => set.len(),
        }
    }

    fn elements(self) -> Vec<Text<'t>> {
        match self {
            Source::Nothing => Vec::new(),
            Source::List(list) => list.iter().collect(),
            Source::Set(set) => set.iter().collect(),
        }
    }

    fn to_list(self) -> List {
        match self {
            Source::Nothing => List::new(),
            Source::List(list) => list.clone(),
            Source::Set(set) => list_of(set.iter()),
        }
    }

    /// A part as it stands; a list can be read from behind, too.
    fn unsorted(self, order: &Order) -> Vec<Text<'t>> {
        let part = order.part.clone();
        match self {
            Source::Nothing => Vec::new(),
            Source::List(list) if order.is_descending => {
                let first = list.len() - part.end;
                let mut chosen: Vec<_> = list.iter_from(first).take(part.len()).collect();
                chosen.reverse();
                chosen
            }
            Source::List(list) => list.iter_from(part.start).take(part.len()).collect(),
            Source::Set(set) => set.iter().skip(part.start).take(part.len()).collect(),
        }
    }
}

/// Hands over the elements that are wanted, in their order.
fn with_chosen<R>(
    call: &mut Call<'_>,
    request: &Request<'_>,
    take: impl FnOnce(&mut Reply<'_>, &[Text<'_>]) -> R,
) -> Result<R, Error> {
    let source = Source::of(call.txn.read(call.args.at(1)))?;
    let order = request.order(source.len());
    let By::Value(pattern) = &request.by else {
        let chosen = sort_by_elements(request, source, &order)?;
        return Ok(take(&mut call.reply, &chosen));
    };
    // Other keys are looked at, so the elements cannot stay borrowed from theirs.
    let copy = source.to_list();
    let elements: Vec<_> = copy.iter().collect();
    let chosen = sort_by_values(request, &mut call.txn, pattern, &elements, &order)?;
    Ok(take(&mut call.reply, &chosen))
}

fn sort_by_elements<'t>(
    request: &Request<'_>,
    source: Source<'t>,
    order: &Order,
) -> Result<Vec<Text<'t>>, Error> {
    let stays = matches!(request.by, By::Nothing);
    let has_no_order = matches!(source, Source::Set(_)) && request.is_repeatable();
    if stays && !has_no_order {
        return Ok(source.unsorted(order));
    }
    let elements = source.elements();
    if stays || request.is_alphabetic {
        let text = |place: usize| Some(elements[place]);
        return Ok(order.by_texts(&elements, request.extent(), text));
    }
    let numbers = elements.iter().map(|&element| number(element)).collect::<Result<Vec<_>, _>>()?;
    Ok(order.by_numbers(&elements, &numbers))
}

fn sort_by_values<'t>(
    request: &Request<'_>,
    txn: &mut Txn<'_>,
    pattern: &Pattern<'_>,
    elements: &[Text<'t>],
    order: &Order,
) -> Result<Vec<Text<'t>>, Error> {
    let mut values = Values::new(txn);
    if request.is_alphabetic {
        let text = |&element: &Text<'t>| values.get(pattern, element).map(Text::to_bytes);
        let texts: Vec<Option<Bytes>> = elements.iter().map(text).collect();
        let text = |place: usize| texts[place].as_ref().map(Text::Shared);
        return Ok(order.by_texts(elements, request.extent(), text));
    }
    let number = |&element: &Text<'t>| values.get(pattern, element).map_or(Ok(0.0), number);
    let numbers = elements.iter().map(number).collect::<Result<Vec<_>, _>>()?;
    Ok(order.by_numbers(elements, &numbers))
}

fn number(text: Text<'_>) -> Result<f64, Error> {
    weight(text).ok_or(Error::err("One or more scores can't be converted into double"))
}

/// What other keys hold for elements.
struct Values<'c, 'a> {
    txn: &'c mut Txn<'a>,
    /// The key that was looked up last; its memory is used again.
    key: Vec<u8>,
}

impl<'c, 'a> Values<'c, 'a> {
    fn new(txn: &'c mut Txn<'a>) -> Self {
        Values { txn, key: Vec::new() }
    }

    fn get(&mut self, pattern: &Pattern<'_>, element: Text<'_>) -> Option<Text<'_>> {
        let key = &mut self.key;
        key.clear();
        key.extend_from_slice(pattern.before);
        key.extend_from_slice(element.bytes(&mut [0; LONGEST_INTEGER]));
        key.extend_from_slice(pattern.after);
        match self.txn.read(key)?.value() {
            ValueRef::String(text) if !pattern.names_field => Some(text),
            _ => None,
        }
    }

    /// What is wanted of an element, one after the other.
    fn each(
        &mut self,
        gets: &[Get<'_>],
        element: Text<'_>,
        mut visit: impl FnMut(Option<Text<'_>>),
    ) {
        for get in gets {
            match get {
                Get::Element => visit(Some(element)),
                Get::Value(pattern) => visit(self.get(pattern, element)),
                Get::Nothing => visit(None),
            }
        }
    }
}

fn write_elements(reply: &mut Reply<'_>, elements: &[Text<'_>]) {
    reply.array(elements.len());
    for element in elements {
        write_text(reply, *element);
    }
}

fn write_values(call: &mut Call<'_>, gets: &[Get<'_>], elements: &List) {
    let (mut values, reply) = (Values::new(&mut call.txn), &mut call.reply);
    reply.array(elements.len() * gets.len());
    for element in elements.iter() {
        values.each(gets, element, |value| match value {
            Some(text) => write_text(reply, text),
            None => reply.null(),
        });
    }
}

/// Puts a list of the elements, or of what is wanted of them, under a key, whatever is there.
fn store(call: &mut Call<'_>, request: &Request<'_>, destination: &[u8], elements: List) {
    let mut list = if request.gets.is_empty() {
        elements
    } else {
        list_of_values(&mut call.txn, &request.gets, &elements)
    };
    let count = list.len();
    call.reply.count(count);
    if list.is_empty() {
        remove(&mut call.txn, destination);
        return;
    }
    Limit::of(call).classify(&mut list);
    if call.txn.has_log() {
        tell_stored(call, destination, &list);
    }
    call.txn.put(destination, Value::List(list), None);
    call.txn.events(count, EventClass::LIST, "sortstore", destination);
}

/// Tells what is stored: elements that are equal in what they are sorted by come in another order elsewhere.
fn tell_stored(call: &mut Call<'_>, destination: &[u8], list: &List) {
    let elements: Vec<Bytes> = list.iter().map(Text::to_bytes).collect();
    let words = [&b"RPUSH"[..], destination].into_iter();
    let words: Vec<&[u8]> = words.chain(elements.iter().map(|element| &**element)).collect();
    call.tell([&b"DEL"[..], destination].into_iter());
    call.tell(words.into_iter());
}

fn list_of_values(txn: &mut Txn<'_>, gets: &[Get<'_>], elements: &List) -> List {
    let (mut values, mut list) = (Values::new(txn), List::new());
    for element in elements.iter() {
        values.each(gets, element, |value| list.push(End::Tail, as_element(value)));
    }
    list
}

/// A value as a list holds it. A string that was changed in place may be an integer by now.
fn as_element(value: Option<Text<'_>>) -> Text<'_> {
    match value {
        Some(Text::Fixed(bytes) | Text::Growing(bytes)) => Text::new(bytes),
        Some(text) => text,
        None => Text::Fixed(b""),
    }
}

fn list_of<'t>(elements: impl Iterator<Item = Text<'t>>) -> List {
    let mut list = List::new();
    elements.for_each(|element| list.push(End::Tail, element));
    list
}
