# Everything comes from the system; nothing is downloaded at configure time (scripts/install-deps installs it).

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(dnnl CONFIG REQUIRED)
