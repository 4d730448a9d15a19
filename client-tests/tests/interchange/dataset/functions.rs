//! Libraries of functions.

use client_tests::command;

use super::Builder;

/// What stands in a library besides its functions: short, and long enough to be compressed.
const REMARKS: [usize; 3] = [0, 3, 400];

pub(super) fn add(builder: &mut Builder) {
    for number in 0..=builder.random.below(3) {
        let remarks = "-- nothing is done here\n".repeat(*builder.random.pick(&REMARKS));
        let library = library(number, &remarks);
        builder.push(command!["FUNCTION", "LOAD", library]);
    }
}

fn library(number: usize, remarks: &str) -> String {
    format!(
        "#!lua name=library_{number}
{remarks}
redis.register_function('write_{number}', function(keys, arguments)
    redis.call('SET', keys[1], arguments[1])
    return redis.call('RPUSH', keys[2], arguments[1], 'by a function')
end)
redis.register_function{{
    function_name = 'read_{number}', description = 'reads \\226\\130\\172', flags = {{'no-writes', 'allow-stale'}},
    callback = function(keys) return redis.call('GET', keys[1]) end,
}}
"
    )
}
