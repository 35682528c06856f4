#!/usr/bin/perl

# net_hostile.t as an ordinary user.

use strict;
use warnings;

BEGIN { $ENV{APW_TEST_USER} = 'nobody' }
use FindBin ();
use lib "$FindBin::Bin/lib";

do "$FindBin::Bin/net_hostile.t" or die $@ || $!;
