'use strict';
/* eslint-disable */

/**
 * Adds.
 */
function add(a, b) { return plus(a, b); }

exports.go = function (x) { return run(x); };
const LIMIT = 5;
const f = async (a) => { await g(a); };
class A { #p() {} static make() { return new A(); } }
module.exports = { add };
