# MixedModels.jl, as benchmarks/peers.R times programs in R; the same files in, the same line out.
# julia peers.jl MixedModels FOLDER BUDGET
using MixedModels, Printf, Statistics

const FOLDER, BUDGET = ARGS[2], parse(Float64, ARGS[3])

function rows(step)
    columns = readlines(joinpath(FOLDER, step, "columns.txt"))
    read_one(column) = begin
        file = joinpath(FOLDER, step, column * ".f64")
        read!(file, Vector{Float64}(undef, filesize(file) ÷ 8))
    end
    values = [column == "id" ? string.(Int.(read_one(column))) : read_one(column) for column in columns]
    (; zip(Symbol.(columns), values)...)
end

function ready(step)
    data = rows(step)
    text = replace(readline(joinpath(FOLDER, step, "formula.txt")), ":" => " & ")
    formula = eval(Meta.parse("@formula($text)"))
    () -> begin
        found = fit(MixedModel, formula, data; contrasts = Dict(:id => Grouping()), progress = false)
        (coefnames(found), coef(found), stderror(found))
    end
end

function resident(line)
    found = only(filter(startswith(line), readlines("/proc/self/status")))
    parse(Float64, match(r"\d+", found).match) / 1024
end

named(term) = "y~" * (term == "(Intercept)" ? "1" : replace(term, "x1 & w1" => "w1:x1", "w1 & x1" => "w1:x1"))
json(terms, values) = "{" * join([@sprintf("\"%s\": %.15g", named(t), v) for (t, v) in zip(terms, values)], ", ") * "}"

start = ready("small")
first_call = @elapsed start()
call = ready("whole")
linux = ispath("/proc/self/clear_refs")
GC.gc()
before = linux ? resident("VmRSS") : NaN
linux && write("/proc/self/clear_refs", "5")
terms, estimates, errors = call()
memory = linux ? @sprintf("%.6g", resident("VmHWM") - before) : "null"
once = @elapsed call()
walls = [@elapsed call() for _ in 1:clamp(floor(Int, BUDGET / once), 1, 200)]
# One thread: its processor time is its wall time.
println(
    """{"version": "$(pkgversion(MixedModels))", "first": $first_call, "wall": $(median(walls)), """ *
    """"cpu": $(median(walls)), "memory": $memory, "estimates": $(json(terms, estimates)), """ *
    """"errors": $(json(terms, errors))}""",
)
